package config

import (
	"net/netip"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"

	"nomadctld/internal/authkeys"
)

// factors are what a group can require of a login: a certificate, or a FIDO security key.
var factors = []string{"cert", "sk"}

// require reads the key require of a group: a list for every right, or a table with a list for each right or set.
func (l *loader) require(t *table) map[string][]string {
	n := t.find("require")
	if n == nil || n.kind != unstable.Table {
		listed := t.texts("require", `require = ["cert"], or require = { "@operate" = ["cert"] }`)
		if !listed.given {
			return nil
		}
		return map[string][]string{"": l.factors(listed)}
	}
	rights := t.sub("require")
	all := map[string][]string{}
	known := slices.Concat(alwaysKnownRights, l.commands)
	for _, n := range rights.node.children {
		if !slices.Contains(known, n.name) {
			l.errorf(n.key, didYouMean(n.name, slices.Compact(slices.Sorted(slices.Values(known)))),
				"%s is not a right or a set of rights: %s", n.path(), quote(n.name))
		}
		all[n.name] = l.factors(rights.textsOf(n, quote(n.name)+` = ["cert"]`))
	}
	return all
}

// factors returns a list of factors. An empty list is an error, because it is not clear what it means.
func (l *loader) factors(listed list) []string {
	var found []string
	for _, v := range listed.items {
		if !slices.Contains(factors, v.text) {
			l.errorf(v.at, `write "cert" for a certificate, or "sk" for a security key`,
				"%s is not something that a login can prove: %s", v.name, quote(v.text))
		}
		found = append(found, v.text)
		if v.text == "cert" {
			l.requireCert = append(l.requireCert, v)
		}
	}
	if listed.empty() {
		l.errorf(listed.at, `write ["cert"], ["sk"], or both, or remove it`, "%s is empty", listed.name)
	}
	return found
}

// checkRequire warns if a group requires a certificate, but no CA is trusted.
func (l *loader) checkRequire() {
	inKeysFile := func(u User) bool {
		return slices.ContainsFunc(u.Keys, func(k authkeys.Key) bool { return k.CertAuthority })
	}
	if len(l.cfg.Auth.CAs) > 0 || slices.ContainsFunc(l.cfg.Users, inKeysFile) {
		return
	}
	for _, v := range l.requireCert {
		l.warnf(v.at, "set auth.userca, or remove it",
			"%s requires a certificate, but no CA is trusted, so no login has these rights", v.name)
	}
}

// networks returns the networks of a list. It is not nil.
func (l *loader) networks(listed list) []netip.Prefix {
	networks := []netip.Prefix{}
	for _, v := range listed.items {
		network, err := authkeys.ParseNetwork(v.text)
		if err != nil {
			l.errorf(v.at, `write a list of networks, such as ["10.0.0.0/8"]`, "%s %s: %s", v.name, err, quote(v.text))
			continue
		}
		networks = append(networks, network)
	}
	return networks
}
