package acl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
)

// Decision is whether a user has a right on a job, with the rule that decided it.
type Decision struct {
	Allowed bool
	Tier    string // the tier in which it is allowed
	Reason  string // one line; denials of several groups are joined
}

// Decide reports whether the user has a right on the job. For a child job, the ID of its parent decides (see
// backends.Job.Root). It returns one decision for each tier for which a prefix of the tier and a prefix of the user
// match the ID, in the order of tiers. If there is none, it returns a single denial. An empty tier or namespace of the
// job means any. Decide sends no request, so it reveals neither which jobs exist nor which tiers other teams' jobs run
// in.
func (u User) Decide(right string, job backends.JobRef, tiers []Tier) []Decision {
	var decisions []Decision
	for _, tier := range tiers {
		if job.Tier != "" && job.Tier != tier.Name ||
			longestPrefix(tier.Prefixes, job.Root) == "" && !slices.Contains(tier.Prefixes, "") {
			continue
		}
		if decision, matches := u.decideInTier(right, job, tier); matches {
			decisions = append(decisions, decision)
		}
	}
	if len(decisions) == 0 {
		return []Decision{{Reason: "none of your prefixes matches its ID"}}
	}
	return decisions
}

// decideInTier is Decide for one tier. It also reports whether the ID matches a prefix of the user.
func (u User) decideInTier(right string, job backends.JobRef, tier Tier) (decision Decision, matches bool) {
	var own []string // groups with a matching prefix and what they grant
	for _, g := range u.Groups {
		prefixMatches := slices.ContainsFunc(g.Prefixes, func(p string) bool { return strings.HasPrefix(job.Root, p) })
		inNamespace := job.Namespace == "" || g.Namespaces == nil || slices.Contains(g.Namespaces, job.Namespace)
		switch {
		case !prefixMatches:
		case !inNamespace:
			own = append(own, fmt.Sprintf("prefix group %s matches this job, but only in namespace %s", g.Name,
				strings.Join(g.Namespaces, ", ")))
		case g.locked[right] != "":
			own = append(own, fmt.Sprintf("prefix group %s grants %s on this job only %s", g.Name, right, g.locked[right]))
		case !g.grants(right):
			granted := g.grantText()
			if g.Granted != nil && granted != "nothing" {
				granted = "only " + granted
			}
			own = append(own, fmt.Sprintf("prefix group %s matches this job, but grants %s", g.Name, granted))
		default:
			where := fmt.Sprintf("prefix group %s grants %s on jobs whose IDs start with %s", g.Name, g.grantText(),
				longestPrefix(g.Prefixes, job.Root))
			if g.Namespaces != nil {
				where += " in namespace " + strings.Join(g.Namespaces, ", ")
			}
			return Decision{true, tier.Name, where}, true
		}
	}
	return Decision{Reason: strings.Join(own, "; ")}, len(own) > 0
}

// grantText describes what a group grants, in the words of the configuration. A list of prefixes
// may contain "raw", which adds that right.
func (g Group) grantText() string {
	granted := g.Granted
	if granted == nil {
		granted = []string{"everything except @admin"}
	}
	if g.grants("raw") && !slices.Contains(granted, "raw") && !slices.Contains(granted, "@admin") {
		granted = append([]string{"raw"}, granted...) // first, so that "except" does not include it
	}
	return cmp.Or(strings.Join(granted, ", "), "nothing")
}

// longestPrefix returns the longest of the prefixes that s starts with, or "".
func longestPrefix(prefixes []string, s string) (found string) {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) && len(p) > len(found) {
			found = p
		}
	}
	return found
}
