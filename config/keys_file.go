package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"nomadctld/internal/authkeys"
)

// userToken stands for the login in auth.keysfile, as in AuthorizedKeysFile of sshd.
const userToken = "%u"

// keysFilePattern checks auth.keysfile.
func (l *loader) keysFilePattern(v value) string {
	switch {
	case !v.ok:
		return ""
	case v.text == "":
		l.errorf(v.at, "write the path of a file, or remove the line", "%s is empty", v.name)
	case !strings.Contains(v.text, userToken):
		l.errorf(v.at, `write %u where the login is in the path, such as "/etc/nomadctld/keys/%u"`,
			"%s does not contain %s, so the keys in it would belong to every user", v.name, userToken)
	case strings.Contains(strings.ReplaceAll(v.text, userToken, ""), "%"):
		l.errorf(v.at, "write only %u", "%s contains a %% that is not followed by u: %s", v.name, quote(v.text))
	default:
		return v.text
	}
	return ""
}

// keysFiles adds the keys in the keys files of a user: the user's own, and the one that auth.keysfile names, which may
// be missing. own is the setting of the user.
func (l *loader) keysFiles(u *User, t *table, own value) {
	if own.ok {
		l.addKeysFile(u, t, own)
	}
	if pattern := l.cfg.Auth.KeysFile; pattern != "" {
		path := strings.ReplaceAll(pattern, userToken, u.Name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			l.recordMissing(path)
		} else {
			l.addKeysFile(u, t, value{name: t.name + ": auth.keysfile", text: path, at: t.node.key, given: true, ok: true})
		}
	}
}

func (l *loader) addKeysFile(u *User, t *table, v value) {
	data, ok := l.loadAuthFile(v, fillFile)
	if !ok {
		return
	}
	keys, errs := authkeys.Parse(data, time.Local)
	for _, err := range errs {
		l.errorf(v.at, "correct the line, or remove it", "%s: file %s: %s", v.name, quote(v.text), err)
	}
	for _, key := range keys {
		name := fmt.Sprintf("%s: file %s: line %d", v.name, quote(v.text), key.Line)
		if !key.CertAuthority {
			l.checkListedKey(u, t, name, v.at, key)
		}
		u.Keys = append(u.Keys, key)
	}
}

// checkListedKey warns if the settings key or keys of the user contain a key of the file, because its options then have
// no effect. It also warns if another user has the same key.
func (l *loader) checkListedKey(u *User, t *table, name string, at int, key authkeys.Key) {
	for _, other := range u.Keys {
		if !other.CertAuthority && other.Line == 0 && bytes.Equal(other.Public.Marshal(), key.Public.Marshal()) {
			l.warnf(at, "remove one of them",
				"%s repeats a key that the configuration has for this user, so its options have no effect", name)
		}
	}
	l.checkKeyOwner(t.name, name, at, key.Public)
}
