package acl

import (
	"slices"
	"strings"

	"nomadctld/backends"
)

// Tier is the part of a tier's configuration that the rules use.
type Tier struct {
	Name     string
	Aliases  []string
	Prefixes []string // of the jobs in this tier
}

// Scope is the set of jobs on which a user has a certain right.
type Scope struct {
	grants map[string][]grant // by tier
	tiers  []Tier             // those with a grant, in the order of the configuration
}

type grant struct {
	prefixes   []string // prefixes that both the tier and the group cover, minimal
	namespaces []string // nil: every namespace
}

// Scope returns the jobs on which the user has a right: for each tier, the prefixes that both the tier and a group
// with the right cover.
func (u User) Scope(right string, tiers []Tier) Scope {
	s := Scope{grants: map[string][]grant{}}
	for _, tier := range tiers {
		for _, group := range u.Groups {
			if !group.grants(right) {
				continue
			}
			if common := intersectPrefixes(tier.Prefixes, group.Prefixes); len(common) > 0 {
				s.grants[tier.Name] = append(s.grants[tier.Name], grant{common, group.Namespaces})
			}
		}
		if len(s.grants[tier.Name]) > 0 {
			s.tiers = append(s.tiers, tier)
		}
	}
	return s
}

// Owns reports whether the job is in the scope. For a child job, the ID of its parent decides (see backends.Job.Root).
func (s Scope) Owns(job backends.JobRef) bool {
	return slices.ContainsFunc(s.grants[job.Tier], func(g grant) bool {
		inNamespace := g.namespaces == nil || slices.Contains(g.namespaces, job.Namespace)
		return inNamespace &&
			slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(job.Root, p) })
	})
}

// Tiers returns the names of the tiers in which the user may own jobs, in the order of the configuration.
func (s Scope) Tiers() []string {
	names := make([]string, len(s.tiers))
	for i, tier := range s.tiers {
		names[i] = tier.Name
	}
	return names
}

// Tier returns the name of the scope's tier that has this name or alias.
func (s Scope) Tier(name string) (string, bool) {
	for _, tier := range s.tiers {
		if tier.Name == name || slices.Contains(tier.Aliases, name) {
			return tier.Name, true
		}
	}
	return "", false
}

// Prefixes returns the job-ID prefixes to query a tier with. Every job of the scope starts with one of them, but not
// every job that starts with one of them is in the scope.
func (s Scope) Prefixes(tier string) []string {
	var all []string
	for _, g := range s.grants[tier] {
		all = append(all, g.prefixes...)
	}
	return minimalPrefixes(all)
}

// Namespaces returns the namespaces of a tier in which the user may own jobs, sorted. nil means every namespace.
func (s Scope) Namespaces(tier string) []string {
	all := []string{}
	for _, g := range s.grants[tier] {
		if g.namespaces == nil {
			return nil
		}
		all = append(all, g.namespaces...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// intersectPrefixes returns the prefixes that cover exactly the names covered by both a and b.
func intersectPrefixes(a, b []string) []string {
	var common []string
	for _, x := range a {
		for _, y := range b {
			switch {
			case strings.HasPrefix(x, y):
				common = append(common, x)
			case strings.HasPrefix(y, x):
				common = append(common, y)
			}
		}
	}
	return minimalPrefixes(common)
}
