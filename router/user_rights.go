package router

import (
	"fmt"
	"slices"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// may reports whether the user has a right, such as one of Spec.FlagRights, on req.Job.
func (r *Request) may(right string) bool {
	return r.User.Scope(right, r.tiers).Owns(r.Job.Ref())
}

// Require returns an error, and records the refusal, if the user does not have the right on req.Job.
func (r *Request) Require(right string) error {
	if r.may(right) {
		return nil
	}
	return r.Deny(fmt.Errorf("you do not have the right %s on %s (see: can-i %s %s)", right, r.Job.ID, right, r.Job.ID))
}

// Deny records that err is a refusal, and returns it.
func (r *Request) Deny(err error) error {
	r.Event.Decision = audit.Denied
	return err
}

// Decide reports whether the user has a right on the job with this name, and the rule that decided it. It sends no
// request to a cluster. See acl.User.Decide.
func (r *Request) Decide(right, job, namespace string) []acl.Decision {
	ref := backends.JobRef{Namespace: namespace, ID: job, Root: backends.RootID(job, "")}
	return r.User.Decide(right, ref, r.tiers)
}

// GrantSummary is what a group grants the user, and in which tiers.
type GrantSummary struct {
	Group      string   `json:"group" doc:"its name in the gateway's configuration"`
	Prefixes   []string `json:"prefixes" doc:"job ID prefixes"`
	Namespaces []string `json:"namespaces" doc:"null: all"`
	Rights     []string `json:"rights" doc:"commands and other rights"`
	Tiers      []string `json:"tiers" doc:"tiers of jobs with these prefixes"`
}

// GrantSummaries returns a summary for each group of the user, in the order of the configuration.
func (r *Request) GrantSummaries() []GrantSummary {
	var all []GrantSummary
	for _, g := range r.User.Groups {
		summary := GrantSummary{g.Name, slices.Clone(g.Prefixes), g.Namespaces, g.Rights, []string{}}
		for _, right := range g.Rights {
			for _, tier := range (acl.User{Groups: []acl.Group{g}}).Scope(right, r.tiers).Tiers() {
				if !slices.Contains(summary.Tiers, tier) {
					summary.Tiers = append(summary.Tiers, tier)
				}
			}
		}
		all = append(all, summary)
	}
	return all
}
