package checkonline

import (
	"maps"
	"path"
	"slices"
	"strings"

	"nomadctld/config"
)

// rules are the capabilities of a token by the namespace of their rule, which may contain *. A rule that denies
// everything has none.
type rules map[string]map[string]bool

// in returns the capabilities in a namespace: those of the rule that Nomad applies.
func (r rules) in(namespace string) map[string]bool {
	if capabilities, ok := r[namespace]; ok {
		return capabilities
	}
	closest, literal := "", -1 // Nomad chooses the pattern with the most literal characters
	for _, pattern := range slices.Sorted(maps.Keys(r)) {
		n := len(pattern) - strings.Count(pattern, "*")
		if ok, _ := path.Match(pattern, namespace); ok && n > literal {
			closest, literal = pattern, n
		}
	}
	return r[closest]
}

// scopes returns the namespaces to check: those that prefix groups of the tier are limited to. If one of them is not
// limited, the gateway uses all namespaces whose jobs it can list, and scopes returns those of the rules.
func (r rules) scopes(limited []string) []string {
	if limited != nil {
		return limited
	}
	var listed []string
	for _, namespace := range slices.Sorted(maps.Keys(r)) {
		if r[namespace]["list-jobs"] {
			listed = append(listed, namespace)
		}
	}
	if listed == nil { // every command fails
		return []string{"*"}
	}
	return listed
}

// limitedNamespaces returns the namespaces of the prefix groups that can match jobs of a tier, sorted. It returns nil
// if one of these groups is not limited to namespaces.
func limitedNamespaces(groups map[string]config.Group, tier config.Tier) (all []string) {
	for _, g := range groups {
		switch {
		case !overlap(g.Prefixes, tier.Prefixes) || g.Commands != nil && len(g.Commands) == 0:
			continue
		case g.Namespaces == nil:
			return nil
		}
		all = append(all, g.Namespaces...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// overlap reports whether a name can start with a prefix of a and one of b.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return strings.HasPrefix(x, y) || strings.HasPrefix(y, x) })
	})
}

// namespacesText describes some of the scopes.
func namespacesText(names, scopes []string) string {
	named := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "*" })
	others := len(named) < len(names)
	text := "in namespace " + strings.Join(named, ", ")
	switch {
	case len(named) > 1:
		text = "in namespaces " + strings.Join(named, ", ")
	case len(named) == 0 && len(scopes) > 1:
		return "in all other namespaces"
	case len(named) == 0:
		return "in all namespaces"
	}
	if others {
		text += " and in all others"
	}
	return text
}
