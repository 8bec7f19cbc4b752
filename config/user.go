package config

import (
	"bytes"
	"maps"
	"slices"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/authkeys"
	"nomadctld/internal/loginname"
)

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
	if len(all) == 0 && (len(l.cfg.Auth.CAs) == 0 || len(l.cfg.Auth.Principals) == 0) {
		l.errorf(t.at(), `write [users.ann] with key = "ssh-ed25519 AAAA..." and prefix = ["team1"]`,
			"no user is configured, so nobody can log in")
	}
	return users
}

func (l *loader) user(t *table) User {
	defer t.reportUnknownKeys()
	u := User{Name: t.node.name}
	if !loginname.Valid(u.Name) {
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
	file := t.text("keysfile", `keysfile = "/etc/nomadctld/keys/ann"`)
	l.keysFiles(&u, t, file)
	if u.Cert = t.boolean("cert"); u.Cert && len(l.cfg.Auth.CAs) == 0 {
		l.errorf(t.find("cert").at, "set auth.userca, or write cert = false",
			"%s.cert is true, but auth.userca names no CA", t.name)
	}
	if !one.given && many.empty() && !file.given && len(u.Keys) == 0 && !u.Cert {
		l.errorf(t.node.key, "write "+example+", or cert = true with auth.userca",
			"%s has no key, so nobody can log in as %s", t.name, quote(u.Name))
	}
	if from := t.texts("from", `from = ["10.0.0.0/8"]`); from.given {
		u.From = l.networks(from)
		if from.empty() {
			l.warnf(from.at, "add a network, or remove it to allow all", "%s is empty, so nobody can log in as %s",
				from.name, quote(u.Name))
		}
	}
	u.FullName = t.text("name", `name = "Ann"`).text
	u.Groups = l.userGroups(t.texts("prefix", `prefix = ["team1"]`), u)
	return u
}

func (l *loader) addUserKey(u *User, path string, v value) {
	key, p := parsePublicKey(v.text)
	if p != nil {
		l.errorf(v.at, p.hint, "%s %s", v.name, p.reason)
		return
	}
	for _, other := range u.Keys {
		if bytes.Equal(other.Public.Marshal(), key.Marshal()) {
			l.warnf(v.at, "remove one of them", "%s is the same as another key of this user", v.name)
			return
		}
	}
	l.checkKeyOwner(path, v.name, v.at, key)
	u.Keys = append(u.Keys, authkeys.Key{Public: key})
}

// checkKeyOwner warns if the key of a user is also a key of another user. path is the path of the user's table, and
// name is that of the key.
func (l *loader) checkKeyOwner(path, name string, at int, key ssh.PublicKey) {
	other, listed := l.keyOwners[string(key.Marshal())]
	switch {
	case !listed:
		l.keyOwners[string(key.Marshal())] = keyOwner{path, at}
	case other.user != path:
		l.warnf(at, "give each user their own key",
			"%s is also a key of %s, line %d: its holder can choose which of the two names is in the audit log",
			name, other.user, l.line(other.at))
	}
}

// userGroups returns those names that are prefix groups.
func (l *loader) userGroups(names list, u User) []string {
	user := u.Name
	if u.Cert && len(l.cfg.Auth.Principals) > 0 && !names.given {
		return nil // certificates can grant groups
	}
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
