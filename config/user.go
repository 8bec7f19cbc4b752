package config

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
)

// loginPattern is what a user may be called: it is typed after ssh -l, and is part of the names of recordings.
var loginPattern = regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}._+-]{0,63}$`)

// keyOwner is whose a key is, and where the file says so.
type keyOwner struct {
	user string // the path of the table
	at   int
}

// users reads [users]; groups and auth have been read.
func (l *loader) users(t *table) []User {
	var users []User
	all := t.subtables()
	for _, sub := range all {
		users = append(users, l.user(sub))
	}
	if len(all) == 0 && l.cfg.Auth.UserCA == "" {
		l.errorf(t.at(), `write [users.wim] with key = "ssh-ed25519 AAAA..." and prefix = ["lnx"]`, "there is no user, so nobody can log in")
	}
	return users
}

func (l *loader) user(t *table) User {
	defer t.reportUnknownKeys()
	u := User{Name: t.node.name}
	if !loginPattern.MatchString(u.Name) {
		l.errorf(t.node.key, "use letters, digits and . _ - +, beginning with a letter, a digit or _", "%s is no login name", t.name)
	} else {
		l.warnCase(t.node, "log in as that")
	}
	const example = `key = "ssh-ed25519 AAAA..."`
	one := t.text("key", example)
	many := t.texts("keys", `keys = ["ssh-ed25519 AAAA...", "ssh-ed25519 AAAA..."]`)
	if one.ok {
		l.userKey(&u, t.name, one)
	}
	for _, v := range many.items {
		l.userKey(&u, t.name, v)
	}
	if !one.given && many.empty() && l.cfg.Auth.UserCA == "" {
		l.errorf(t.node.key, "write "+example, "%s has no key, so nobody can log in as %s", t.name, quote(u.Name))
	}
	u.FullName = t.text("name", `name = "Wim"`).text
	u.Groups = l.userGroups(t.texts("prefix", `prefix = ["lnx"]`), u.Name)
	return u
}

func (l *loader) userKey(u *User, t string, v value) {
	key, bad := parsePublicKey(v.text)
	if bad != nil {
		l.errorf(v.at, bad.hint, "%s %s", v.name, bad.reason)
		return
	}
	for _, other := range u.Keys {
		if bytes.Equal(other.Marshal(), key.Marshal()) {
			l.warnf(v.at, "remove one of the two", "%s is a key that the user already has", v.name)
			return
		}
	}
	if other, shared := l.keyOwners[string(key.Marshal())]; shared {
		l.warnf(v.at, "give each user a key of their own", "%s is also a key of %s, line %d: its holder chooses which of the two names is in the audit log", v.name, other.user, l.line(other.at))
	} else {
		l.keyOwners[string(key.Marshal())] = keyOwner{t, v.at}
	}
	u.Keys = append(u.Keys, key)
}

// userGroups returns those of the groups that exist.
func (l *loader) userGroups(names list, user string) []string {
	var groups []string
	for _, v := range names.items {
		if _, ok := l.cfg.Groups[v.text]; !ok {
			l.warnf(v.at, didYouMean(v.text, slices.Sorted(maps.Keys(l.cfg.Groups))), "%s, %s, is no prefix group, so it grants nothing", v.name, quote(v.text))
		} else if !slices.Contains(groups, v.text) {
			groups = append(groups, v.text)
		}
	}
	if names.empty() {
		l.warnf(names.at, `write prefix = ["lnx"]`, "%s is empty, so %s owns nothing and is refused at login", names.name, quote(user))
	} else if len(groups) == 0 && len(names.items) > 0 {
		last := &l.diagnostics[len(l.diagnostics)-1]
		last.Message += ", and the user owns nothing and is refused at login"
	}
	return groups
}
