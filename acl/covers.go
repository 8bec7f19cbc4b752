package acl

import (
	"slices"
	"strings"
)

// Covers reports whether every job of another scope is in this scope too. It may return false for a scope that is
// covered, because it does not combine several prefixes into a shorter one.
func (s Scope) Covers(other Scope) bool {
	for tier, grants := range other.grants {
		for _, g := range grants {
			for _, prefix := range g.prefixes {
				if !s.coversPrefix(tier, prefix, g.namespaces) {
					return false
				}
			}
		}
	}
	return true
}

// coversPrefix reports whether all jobs with a prefix in these namespaces (nil: all) are in the scope.
func (s Scope) coversPrefix(tier, prefix string, namespaces []string) bool {
	covers := func(inNamespace func(grant) bool) bool {
		return slices.ContainsFunc(s.grants[tier], func(g grant) bool {
			return inNamespace(g) &&
				slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(prefix, p) })
		})
	}
	if namespaces == nil {
		return covers(func(g grant) bool { return g.namespaces == nil })
	}
	for _, namespace := range namespaces {
		if !covers(func(g grant) bool { return g.namespaces == nil || slices.Contains(g.namespaces, namespace) }) {
			return false
		}
	}
	return true
}

// Only returns the part of the scope in one tier, which is given by its name.
func (s Scope) Only(tier string) Scope {
	only := Scope{grants: map[string][]grant{}}
	for _, t := range s.tiers {
		if t.Name == tier {
			only.tiers = append(only.tiers, t)
			only.grants[tier] = s.grants[tier]
		}
	}
	return only
}
