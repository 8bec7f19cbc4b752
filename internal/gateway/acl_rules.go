package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"nomadctld/acl"
	"nomadctld/config"
	"nomadctld/router"
)

func aclTiers(tiers []config.Tier) []acl.Tier {
	var all []acl.Tier
	for _, t := range tiers {
		all = append(all, acl.Tier{Name: t.Name, Aliases: t.Aliases, Prefixes: t.Prefixes})
	}
	return all
}

func aclGroup(g config.Group) acl.Group {
	rights := router.ExpandGrants(g.Commands)
	if g.Raw && !slices.Contains(rights, "raw") {
		rights = append(rights, "raw")
	}
	return acl.Group{
		Name: g.Name, Prefixes: g.Prefixes, Rights: rights, Granted: g.Commands, Namespaces: g.Namespaces,
		From: g.From, Require: aclRequire(g.Require),
	}
}

// aclRequire returns what a login must prove, by right.
func aclRequire(require map[string][]string) map[string][]acl.Factor {
	all := map[string][]acl.Factor{}
	for name, factors := range require {
		rights := router.ExpandGrants([]string{name})
		if name == "" {
			rights = slices.Collect(maps.Keys(router.Rights()))
		}
		for _, right := range rights {
			for _, factor := range factors {
				all[right] = append(all[right], acl.Factor(factor))
			}
		}
	}
	for right := range all {
		slices.Sort(all[right])
		all[right] = slices.Compact(all[right])
	}
	return all
}

// checkRequire returns an error if a group requires a factor for a command that needs no right, because every user may
// run it anyway.
func checkRequire(groups map[string]config.Group) error {
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		for _, right := range slices.Sorted(maps.Keys(groups[name].Require)) {
			if right != "" && len(router.ExpandGrants([]string{right})) == 0 {
				return fmt.Errorf("prefix.%s.require: %s needs no right, so every user may run it "+
					"and nothing can be required for it", name, right)
			}
		}
	}
	return nil
}

func aclDirectory(c *config.Config) *acl.Directory {
	rules := acl.Rules{
		CAs: c.Auth.CAs, Revoked: c.Auth.Revoked, MaxValidity: c.Auth.MaxValidity,
		Principals: map[string][]acl.Group{},
	}
	groups := func(names []string) (all []acl.Group) {
		for _, name := range names {
			all = append(all, aclGroup(c.Groups[name]))
		}
		return all
	}
	for principal, names := range c.Auth.Principals {
		rules.Principals[principal] = groups(names)
	}
	for _, u := range c.Users {
		rules.Accounts = append(rules.Accounts, acl.Account{
			User: acl.User{Login: u.Name, Name: cmp.Or(u.FullName, u.Name), Groups: groups(u.Groups)},
			Keys: u.Keys, Certificates: u.Cert, From: u.From,
		})
	}
	return acl.NewDirectory(rules)
}
