package router

import (
	"fmt"
	"slices"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// may reports whether the user has a right, such as one of the command's Spec.Rights, on req.Job.
func (r *Request) may(right string) bool {
	return r.User.Scope(right, r.tiers).Owns(r.Job.Tier, r.Job.Namespace, r.Job.Root)
}

// Require returns an error, and puts the refusal on record, when the user has not this right on req.Job.
func (r *Request) Require(right string) error {
	if r.may(right) {
		return nil
	}
	return r.Deny(fmt.Errorf("%s is not among your rights on %s (see: can-i %s %s)", right, r.Job.ID, right, r.Job.ID))
}

// Deny puts on record that err is a refusal, and returns it.
func (r *Request) Deny(err error) error {
	r.Event.Decision = audit.Denied
	return err
}

// Decide says whether the user has a right on a job of this name, with the rule that decides; see acl.User.Decide. No cluster
// is asked.
func (r *Request) Decide(right, job, namespace string) []acl.Decision {
	return r.User.Decide(right, backends.RootID(job, ""), namespace, r.tiers)
}

// GrantSummary says what a group of the user grants where.
type GrantSummary struct {
	Group      string   `json:"group" doc:"its name in the gateway's configuration"`
	Prefixes   []string `json:"prefixes" doc:"of the names of jobs"`
	Namespaces []string `json:"namespaces" doc:"null: every one"`
	Rights     []string `json:"rights" doc:"commands, and what else needs a right"`
	Tiers      []string `json:"tiers" doc:"where jobs with the prefixes live"`
}

// GrantSummaries says what each group of the user grants, in the order of the configuration.
func (r *Request) GrantSummaries() []GrantSummary {
	var all []GrantSummary
	for _, g := range r.User.Groups {
		reach := GrantSummary{g.Name, slices.Clone(g.Prefixes), g.Namespaces, g.Rights, []string{}}
		for _, right := range g.Rights {
			for _, tier := range (acl.User{Groups: []acl.Group{g}}).Scope(right, r.tiers).Tiers() {
				if !slices.Contains(reach.Tiers, tier) {
					reach.Tiers = append(reach.Tiers, tier)
				}
			}
		}
		all = append(all, reach)
	}
	return all
}
