package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/krl"
)

// auth reads [auth]. The groups must have been read.
func (l *loader) auth(t *table) Auth {
	defer t.reportUnknownKeys()
	var a Auth
	authorities := t.textOrTexts("userca", `userca = "/etc/nomadctld/user_ca.pub"`)
	for _, v := range authorities.items {
		a.CAs = append(a.CAs, l.caKeys(v)...)
	}
	a.Revoked = l.revoked(t.text("revoked", `revoked = "/etc/nomadctld/revoked.krl"`))
	validity := t.text("maxvalidity", `maxvalidity = "24h"`)
	a.MaxValidity = l.maxValidity(validity)
	a.KeysFile = l.keysFilePattern(t.text("keysfile", `keysfile = "/etc/nomadctld/keys/%u"`))
	principals := t.sub("principals")
	a.Principals = l.principals(principals)
	if !authorities.given {
		if validity.ok {
			l.warnf(validity.at, "set auth.userca, or remove it", "%s has no effect, because auth.userca is not set",
				validity.name)
		}
		if len(a.Principals) > 0 {
			l.warnf(principals.at(), "set auth.userca, or remove the table",
				"%s has no effect, because auth.userca is not set", principals.name)
		}
	}
	return a
}

// caKeys returns the public keys in a file: one on each line, without options.
func (l *loader) caKeys(v value) []ssh.PublicKey {
	data, ok := l.loadAuthFile(v, fillFile)
	if !ok {
		return nil
	}
	keys, p := parseCAKeys(string(data))
	if p != nil {
		l.errorf(v.at, "name the .pub file of the signing key", "%s: file %s %s", v.name, quote(v.text), p.reason)
	}
	return keys
}

// parseCAKeys returns the keys in a file with one key per line. The file may have empty lines and comments.
func parseCAKeys(text string) (keys []ssh.PublicKey, p *problem) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, p := parsePublicKey(line)
		if p != nil {
			return nil, p
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, &problem{reason: "contains no SSH key"}
	}
	return keys, nil
}

// revoked reads the list of revoked keys and certificates.
func (l *loader) revoked(v value) *krl.List {
	const hint = `replace it with the complete list; to create an empty one: ssh-keygen -k -f revoked.krl`
	data, ok := l.loadAuthFile(v, hint)
	if !ok {
		return nil
	}
	list, err := krl.Parse(data)
	if err != nil {
		l.errorf(v.at, hint, "%s: file %s is not valid: %s", v.name, quote(v.text), err)
	}
	return list
}

func (l *loader) maxValidity(v value) time.Duration {
	if !v.ok {
		return 0
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < time.Second {
		l.errorf(v.at, `write a number with a unit, such as maxvalidity = "24h", or remove it for no limit`,
			"%s is not a duration of at least a second: %s", v.name, quote(v.text))
	}
	return d
}

// principals reads [auth.principals].
func (l *loader) principals(t *table) map[string][]string {
	all := map[string][]string{}
	if t.node == nil {
		return all
	}
	for _, n := range t.node.children {
		var groups []string
		row := &table{r: t.r, node: t.node, name: t.name}
		// The name of a principal may have uppercase letters, so this does not use declare.
		listed := row.textsOf(n, quote(n.name)+` = ["team1"]`)
		for _, v := range listed.items {
			if _, ok := l.cfg.Groups[v.text]; !ok {
				l.errorf(v.at, didYouMean(v.text, slices.Sorted(maps.Keys(l.cfg.Groups))),
					"%s (%s) is not a prefix group", v.name, quote(v.text))
			} else if !slices.Contains(groups, v.text) {
				groups = append(groups, v.text)
			}
		}
		switch {
		case n.name == "":
			l.errorf(n.key, "write the name of a principal", "%s has a principal without a name", t.name)
		case listed.empty():
			l.warnf(listed.at, `write the names of prefix groups, such as ["team1"]`,
				"%s is empty, so the principal grants nothing", listed.name)
		default:
			all[n.name] = groups
		}
	}
	return all
}
