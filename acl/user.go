// Package acl decides which user a key belongs to and which jobs that user owns. It holds the groups, their prefixes
// and their rights. It must stay pure (no I/O, no clock), so that tables can test every rule.
package acl

import (
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

// Directory finds users by login and proven key.
type Directory struct{ users map[string]entry }

type entry struct {
	user User
	keys []string
}

// NewDirectory returns an empty directory.
func NewDirectory() *Directory { return &Directory{users: map[string]entry{}} }

// Add adds a user with their public keys in SSH wire format.
func (d *Directory) Add(u User, keys ...string) { d.users[u.Login] = entry{u, keys} }

// Find returns the user with this login and this public key in SSH wire format. Both must match, and the user must
// be in at least one group.
func (d *Directory) Find(login, key string) (User, bool) {
	e, ok := d.users[login]
	if !ok || key == "" || !slices.Contains(e.keys, key) || len(e.user.Groups) == 0 {
		return User{}, false
	}
	return e.user, true
}

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
