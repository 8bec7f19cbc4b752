package acl

import (
	"slices"
	"strings"
)

// Tier is what the rules need to know of a tier of the configuration.
type Tier struct {
	Name     string
	Aliases  []string
	Prefixes []string // of the jobs that live there
}

// Scope is the set of jobs on which a user has one right.
type Scope struct {
	grants map[string][]grant // by tier
	tiers  []Tier             // those with a grant, in the order given
}

type grant struct {
	prefixes   []string // of the tier and of the group, met; reduced
	namespaces []string // nil: every one
}

// Scope returns where the user has a right: for each tier the prefixes that both the tier and one of the groups granting
// it allow.
func (u User) Scope(right string, tiers []Tier) Scope {
	s := Scope{grants: map[string][]grant{}}
	for _, tier := range tiers {
		for _, group := range u.Groups {
			if !group.grants(right) {
				continue
			}
			if met := intersectPrefixes(tier.Prefixes, group.Prefixes); len(met) > 0 {
				s.grants[tier.Name] = append(s.grants[tier.Name], grant{met, group.Namespaces})
			}
		}
		if len(s.grants[tier.Name]) > 0 {
			s.tiers = append(s.tiers, tier)
		}
	}
	return s
}

// Owns reports whether the job whose root ID is root, in this tier and namespace, is in the scope.
func (s Scope) Owns(tier, namespace, root string) bool {
	return slices.ContainsFunc(s.grants[tier], func(g grant) bool {
		inNamespace := g.namespaces == nil || slices.Contains(g.namespaces, namespace)
		return inNamespace && slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(root, p) })
	})
}

// Tiers returns the names of the tiers in which something may be owned, in the configuration's order.
func (s Scope) Tiers() []string {
	names := make([]string, len(s.tiers))
	for i, tier := range s.tiers {
		names[i] = tier.Name
	}
	return names
}

// Tier returns the name of the scope's tier that is called name: its own name or one of its aliases.
func (s Scope) Tier(name string) (string, bool) {
	for _, tier := range s.tiers {
		if tier.Name == name || slices.Contains(tier.Aliases, name) {
			return tier.Name, true
		}
	}
	return "", false
}

// Prefixes returns the job-ID prefixes to ask a tier for: every job of the scope begins with one of them, though
// not every job that does is in the scope.
func (s Scope) Prefixes(tier string) []string {
	var all []string
	for _, g := range s.grants[tier] {
		all = append(all, g.prefixes...)
	}
	return minimalPrefixes(all)
}

// Namespaces returns the namespaces of a tier in which something may be owned, sorted; nil: every one.
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

// intersectPrefixes returns the prefixes of what begins with one of a and with one of b.
func intersectPrefixes(a, b []string) []string {
	var met []string
	for _, x := range a {
		for _, y := range b {
			switch {
			case strings.HasPrefix(x, y):
				met = append(met, x)
			case strings.HasPrefix(y, x):
				met = append(met, y)
			}
		}
	}
	return minimalPrefixes(met)
}
