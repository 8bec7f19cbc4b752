package config

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
)

// loginPattern matches valid login names. Users type them after ssh -l, and they have to be usable in file names.
var loginPattern = regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}._+-]{0,63}$`)

// keyOwner is the user who first listed a key.
type keyOwner struct {
	user string // the path of the table
	at   int    // the offset of the key
}

// users reads [users]. The groups and [auth] must have been read.
func (l *loader) users(t *table) []User {
	var users []User
	all := t.subtables()
	for _, sub := range all {
		users = append(users, l.user(sub))
	}
	if len(all) == 0 && l.cfg.Auth.UserCA == "" {
		l.errorf(t.at(), `write [users.ann] with key = "ssh-ed25519 AAAA..." and prefix = ["team1"]`,
			"no user is configured, so nobody can log in")
	}
	return users
}

func (l *loader) user(t *table) User {
	defer t.reportUnknownKeys()
	u := User{Name: t.node.name}
	if !loginPattern.MatchString(u.Name) {
		l.errorf(t.node.key, "use letters, digits and . _ - +, starting with a letter, a digit or _",
			"%s is not a valid login name", t.name)
	} else {
		l.warnCase(t.node, "login")
	}
	const example = `key = "ssh-ed25519 AAAA..."`
	one := t.text("key", example)
	many := t.texts("keys", `keys = ["ssh-ed25519 AAAA...", "ssh-ed25519 AAAA..."]`)
	if one.ok {
		l.addUserKey(&u, t.name, one)
	}
	for _, v := range many.items {
		l.addUserKey(&u, t.name, v)
	}
	if !one.given && many.empty() && l.cfg.Auth.UserCA == "" {
		l.errorf(t.node.key, "write "+example, "%s has no key, so nobody can log in as %s", t.name, quote(u.Name))
	}
	u.FullName = t.text("name", `name = "Ann"`).text
	u.Groups = l.userGroups(t.texts("prefix", `prefix = ["team1"]`), u.Name)
	return u
}

func (l *loader) addUserKey(u *User, path string, v value) {
	key, p := parsePublicKey(v.text)
	if p != nil {
		l.errorf(v.at, p.hint, "%s %s", v.name, p.reason)
		return
	}
	for _, other := range u.Keys {
		if bytes.Equal(other.Marshal(), key.Marshal()) {
			l.warnf(v.at, "remove one of them", "%s is the same as another key of this user", v.name)
			return
		}
	}
	if other, shared := l.keyOwners[string(key.Marshal())]; shared {
		l.warnf(v.at, "give each user their own key",
			"%s is also a key of %s, line %d: its holder can choose which of the two names is in the audit log",
			v.name, other.user, l.line(other.at))
	} else {
		l.keyOwners[string(key.Marshal())] = keyOwner{path, v.at}
	}
	u.Keys = append(u.Keys, key)
}

// userGroups returns those names that are prefix groups.
func (l *loader) userGroups(names list, user string) []string {
	var groups []string
	for _, v := range names.items {
		if _, ok := l.cfg.Groups[v.text]; !ok {
			l.warnf(v.at, didYouMean(v.text, slices.Sorted(maps.Keys(l.cfg.Groups))),
				"%s (%s) is not a prefix group and grants nothing", v.name, quote(v.text))
		} else if !slices.Contains(groups, v.text) {
			groups = append(groups, v.text)
		}
	}
	if names.empty() {
		l.warnf(names.at, `write prefix = ["team1"]`,
			"%s is %s, so %s owns no jobs and cannot log in", names.name, names.emptyText(), quote(user))
	} else if len(groups) == 0 && len(names.items) > 0 {
		last := &l.diagnostics[len(l.diagnostics)-1]
		last.Message += ", so the user owns no jobs and cannot log in"
	}
	return groups
}
