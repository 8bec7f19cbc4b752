// Package acl decides which user a key or a certificate belongs to and which jobs that user owns. It holds the groups,
// their prefixes and their rights. It must stay pure (no I/O, no clock), so that tables can test every rule.
package acl

import (
	"net/netip"
	"slices"
	"strings"
)

// Group is a set of job ID prefixes with the rights on the jobs they match.
type Group struct {
	Name       string
	Prefixes   []string
	Rights     []string // names of commands and of other rights
	Granted    []string // Rights as the configuration writes them: names and sets; nil: not set
	Namespaces []string // nil: every namespace

	From    []netip.Prefix      // networks in which the rights apply; nil: everywhere
	Require map[string][]Factor // by right: what a login must have proven
	locked  map[string]string   // by right: what the login lacks; see User.restrict
}

// User is a person or a machine with a key.
type User struct {
	Login  string // the ssh user name
	Name   string // for people to read
	Groups []Group
}

// May reports whether a group of the user grants the right on at least some jobs.
func (u User) May(right string) bool {
	return slices.ContainsFunc(u.Groups, func(g Group) bool { return g.grants(right) })
}

// Prefixes returns the job ID prefixes of all groups, sorted and without duplicates.
func (u User) Prefixes() []string {
	var all []string
	for _, g := range u.Groups {
		all = append(all, g.Prefixes...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (g Group) grants(right string) bool { return slices.Contains(g.Rights, right) }

// minimalPrefixes returns the prefixes, sorted, without those that a shorter one covers.
func minimalPrefixes(prefixes []string) []string {
	slices.Sort(prefixes)
	var minimal []string
	for _, p := range prefixes {
		if len(minimal) == 0 || !strings.HasPrefix(p, minimal[len(minimal)-1]) {
			minimal = append(minimal, p)
		}
	}
	return minimal
}
