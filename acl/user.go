// Package acl says who a user is and what is theirs. It is pure: no I/O, no clock, so that every rule can be
// tested by a table.
package acl

import (
	"slices"
	"strings"
)

// Group is a set of job-name prefixes with what may be done to the jobs they name.
type Group struct {
	Name       string
	Prefixes   []string
	Rights     []string // names of commands, and of what else needs a right
	Granted    []string // how the configuration says Rights: names and sets; nil: it says nothing
	Namespaces []string // nil: every namespace
}

// User is a person or a machine with a key.
type User struct {
	Login  string // the ssh user name
	Name   string // for people to read
	Groups []Group
}

// May reports whether some group of the user grants the right, for at least some jobs.
func (u User) May(right string) bool {
	return slices.ContainsFunc(u.Groups, func(g Group) bool { return g.grants(right) })
}

// Prefixes returns the job-name prefixes of all groups, sorted, each once.
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

// Add enters a user with their public keys in SSH wire format.
func (d *Directory) Add(u User, keys ...string) { d.users[u.Login] = entry{u, keys} }

// Find returns the user with this login and this public key in SSH wire format. Both must fit, and the user
// must own something: one without any group is nobody.
func (d *Directory) Find(login, key string) (User, bool) {
	e, ok := d.users[login]
	if !ok || key == "" || !slices.Contains(e.keys, key) || len(e.user.Groups) == 0 {
		return User{}, false
	}
	return e.user, true
}

// minimalPrefixes returns the prefixes without those that a shorter one covers, sorted.
func minimalPrefixes(prefixes []string) []string {
	slices.Sort(prefixes)
	var kept []string
	for _, p := range prefixes {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}
