package acl

import (
	"fmt"
	"slices"
	"strings"
)

// Decision is whether a user has a right on a job, with the rule that decided.
type Decision struct {
	Allowed bool
	Tier    string // where it is allowed
	Reason  string // one clause
}

// Decide says whether the user has right on the job whose root ID is root: a ruling for each tier whose prefixes the ID fits,
// in the order of tiers, where it also fits one of the user's; else a single one. An empty namespace is any. No cluster is
// asked, so that nobody learns from it which jobs exist, nor which tiers there are for others' jobs.
func (u User) Decide(right, root, namespace string, tiers []Tier) []Decision {
	var rulings []Decision
	for _, tier := range tiers {
		if longestPrefix(tier.Prefixes, root) == "" && !slices.Contains(tier.Prefixes, "") {
			continue
		}
		if ruling, fits := u.decideInTier(right, root, namespace, tier); fits {
			rulings = append(rulings, ruling)
		}
	}
	if len(rulings) == 0 {
		return []Decision{{Reason: "none of your prefixes fits its name"}}
	}
	return rulings
}

// decideInTier is Rule for one tier, and whether the ID fits a prefix of the user's.
func (u User) decideInTier(right, root, namespace string, tier Tier) (ruling Decision, fits bool) {
	var own []string // groups with a prefix that fits, and what they grant
	for _, g := range u.Groups {
		fits := slices.ContainsFunc(g.Prefixes, func(p string) bool { return strings.HasPrefix(root, p) })
		inNamespace := namespace == "" || g.Namespaces == nil || slices.Contains(g.Namespaces, namespace)
		switch {
		case !fits:
		case !inNamespace:
			own = append(own, fmt.Sprintf("%s is for %s only", g.Name, strings.Join(g.Namespaces, ", ")))
		case !g.grants(right):
			own = append(own, fmt.Sprintf("%s grants %s", g.Name, g.grantText()))
		default:
			where := fmt.Sprintf("group %s grants %s on jobs that begin with %s", g.Name, g.grantText(), longestPrefix(g.Prefixes, root))
			if g.Namespaces != nil {
				where += " in " + strings.Join(g.Namespaces, ", ")
			}
			return Decision{true, tier.Name, where}, true
		}
	}
	return Decision{Reason: "of your groups with a prefix that fits, " + strings.Join(own, "; ")}, len(own) > 0
}

// grantText says what a group grants, as the configuration does.
func (g Group) grantText() string {
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

// longestPrefix returns the longest of the prefixes that s begins with; empty: none.
func longestPrefix(prefixes []string, s string) (found string) {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) && len(p) > len(found) {
			found = p
		}
	}
	return found
}
