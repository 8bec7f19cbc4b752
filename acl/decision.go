package acl

import (
	"fmt"
	"slices"
	"strings"
)

// Ruling is whether a user has a right on a job, with the rule that decided.
type Ruling struct {
	Allowed bool
	Tier    string // where it is allowed
	Reason  string // one clause
}

// Rule says whether the user has right on the job whose root ID is root: a ruling for each tier whose prefixes the ID fits,
// in the order of tiers, where it also fits one of the user's; else a single one. An empty namespace is any. No cluster is
// asked, so that nobody learns from it which jobs exist, nor which tiers there are for others' jobs.
func (u User) Rule(right, root, namespace string, tiers []Tier) []Ruling {
	var rulings []Ruling
	for _, tier := range tiers {
		if longest(tier.Prefixes, root) == "" && !slices.Contains(tier.Prefixes, "") {
			continue
		}
		if ruling, fits := u.rule(right, root, namespace, tier); fits {
			rulings = append(rulings, ruling)
		}
	}
	if len(rulings) == 0 {
		return []Ruling{{Reason: "none of your prefixes fits its name"}}
	}
	return rulings
}

// rule is Rule for one tier, and whether the ID fits a prefix of the user's.
func (u User) rule(right, root, namespace string, tier Tier) (ruling Ruling, fits bool) {
	var own []string // groups with a prefix that fits, and what they grant
	for _, g := range u.Groups {
		fits := slices.ContainsFunc(g.Prefixes, func(p string) bool { return strings.HasPrefix(root, p) })
		inNamespace := namespace == "" || g.Namespaces == nil || slices.Contains(g.Namespaces, namespace)
		switch {
		case !fits:
		case !inNamespace:
			own = append(own, fmt.Sprintf("%s is for %s only", g.Name, strings.Join(g.Namespaces, ", ")))
		case !g.grants(right):
			own = append(own, fmt.Sprintf("%s grants %s", g.Name, g.grant()))
		default:
			where := fmt.Sprintf("group %s grants %s on jobs that begin with %s", g.Name, g.grant(), longest(g.Prefixes, root))
			if g.Namespaces != nil {
				where += " in " + strings.Join(g.Namespaces, ", ")
			}
			return Ruling{true, tier.Name, where}, true
		}
	}
	return Ruling{Reason: "of your groups with a prefix that fits, " + strings.Join(own, "; ")}, len(own) > 0
}

// grant says what a group grants, as the configuration does.
func (g Group) grant() string {
	granted := strings.Join(g.Granted, ", ")
	if g.Granted == nil {
		granted = "everything but what is of @admin"
	}
	switch asPrefix := g.grants("raw") && !slices.Contains(g.Granted, "raw") && !slices.Contains(g.Granted, "@admin"); {
	case asPrefix && granted == "":
		return "raw"
	case asPrefix:
		return granted + ", and raw"
	case granted == "":
		return "nothing"
	}
	return granted
}

// longest returns the longest of the prefixes that s begins with; empty: none.
func longest(prefixes []string, s string) (found string) {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) && len(p) > len(found) {
			found = p
		}
	}
	return found
}
