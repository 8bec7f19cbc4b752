package router

import (
	"slices"

	"nomadctld/acl"
	"nomadctld/backends"
)

// User is the user of a request, whose rights apply to the gateway's tiers.
type User struct {
	acl.User
	tiers []acl.Tier
}

// scope returns the jobs on which the user has a right.
func (u User) scope(right string) acl.Scope { return u.Scope(right, u.tiers) }

// Decide reports whether the user has a right on the job with this name, and the rule that decided it. It sends no
// request to a cluster. See acl.User.Decide.
func (u User) Decide(right, job, namespace string) []acl.Decision {
	ref := backends.JobRef{Namespace: namespace, ID: job, Root: backends.RootID(job, "")}
	return u.User.Decide(right, ref, u.tiers)
}

// GrantSummary is what a group grants the user, and in which tiers.
type GrantSummary struct {
	Group      string   `json:"group" doc:"its name in the gateway's configuration"`
	Prefixes   []string `json:"prefixes" doc:"job ID prefixes"`
	Namespaces []string `json:"namespaces" doc:"null: all"`
	Rights     []string `json:"rights" doc:"commands and other rights"`
	Tiers      []string `json:"tiers" doc:"tiers of jobs with these prefixes"`

	Locked map[string][]string `json:"locked" doc:"rights whose requirement this login does not meet, by requirement"`
}

// Grants returns a summary for each group of the user, in the order of the configuration.
func (u User) Grants() []GrantSummary {
	var all []GrantSummary
	for _, g := range u.Groups {
		summary := GrantSummary{g.Name, slices.Clone(g.Prefixes), g.Namespaces, g.Rights, []string{}, g.Locked()}
		if len(summary.Rights)+len(summary.Locked) > 0 {
			const any = "any" // a placeholder, because the tiers are the same for every right
			jobs := acl.User{Groups: []acl.Group{{Prefixes: g.Prefixes, Rights: []string{any}}}}
			summary.Tiers = jobs.Scope(any, u.tiers).Tiers()
		}
		all = append(all, summary)
	}
	return all
}
