package config

import (
	"bytes"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9_-]+$`)
	badPrefixPattern = regexp.MustCompile(`[^!-~]|["'\\]`)
)

// A firstUse is the tier that first used a prefix or a name, to detect conflicts.
type firstUse struct {
	tier string
	url  string
	at   int
}

// tiers reads [nomad].
func (l *loader) tiers(t *table) []Tier {
	var tiers []Tier
	prefixes, names := map[string]firstUse{}, map[string]firstUse{}
	all := t.subtables()
	for _, sub := range all {
		names[sub.node.name] = firstUse{tier: sub.node.name, at: sub.node.key}
	}
	for _, sub := range all {
		tiers = append(tiers, l.tier(sub, prefixes, names))
	}
	if len(all) == 0 {
		l.errorf(t.at(), `write [nomad.production] with url = "https://..." and prefix = ["p-"]`,
			"no tier is configured, so no job is accessible")
	}
	return tiers
}

func (l *loader) tier(t *table, prefixes, names map[string]firstUse) Tier {
	defer t.reportUnknownKeys()
	tier := Tier{Name: t.node.name}
	l.checkName(t.node, "tier")
	l.checkReserved(tier.Name, t.name, t.node.key)
	var scheme string
	address := t.text("url", `url = "https://nomad.service.consul:4646"`)
	tier.URL, scheme = l.clusterURL(address)
	listed := t.texts("prefix", `prefix = ["p-"]`)
	for _, v := range listed.items {
		l.checkPrefix(v)
		tier.Prefixes = append(tier.Prefixes, v.text)
		if other, taken := prefixes[v.text]; tier.URL == "" {
			continue
		} else if !taken {
			l.warnOverlap(v, tier.URL, prefixes)
			prefixes[v.text] = firstUse{tier.Name, tier.URL, v.at}
		} else if other.url != tier.URL {
			l.errorf(v.at, "use different prefixes for each cluster",
				"%s (%s) is also a prefix of another cluster: nomad.%s, line %d",
				v.name, quote(v.text), other.tier, l.line(other.at))
		}
	}
	if listed.empty() {
		l.errorf(listed.at, `write prefix = ["p-"]`, "%s is %s, so the tier has no jobs", listed.name, listed.emptyText())
	}
	for _, v := range t.texts("alias", `alias = ["prod"]`).items {
		l.checkReserved(v.text, v.name, v.at)
		if other, taken := names[v.text]; taken {
			l.errorf(v.at, "choose another name", "%s (%s) is already a name of nomad.%s, line %d",
				v.name, quote(v.text), other.tier, l.line(other.at))
		} else if !oneWord(v.text) {
			l.errorf(v.at, `write a word such as "prod"`, "%s is not one word: %s", v.name, quote(v.text))
		} else {
			names[v.text] = firstUse{tier: tier.Name, at: v.at}
		}
		tier.Aliases = append(tier.Aliases, v.text)
	}
	tier.TokenFile = l.tokenFile(t.text("token", `token = "/etc/nomadctld/token"`))
	if scheme == "http" && tier.TokenFile != "" && isRemote(tier.URL) {
		l.warnf(address.at, "use https://",
			"%s: the token is sent to another machine without TLS, and anyone on the network path can read it",
			address.name)
	}
	tier.TLS = l.tls(t.sub("tls"), scheme != "http", "the url starts with http://", "https")
	return tier
}

// warnOverlap warns if a prefix starts with a prefix of another cluster, or the reverse. A job can then be in both
// tiers.
func (l *loader) warnOverlap(v value, url string, prefixes map[string]firstUse) {
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		other := prefixes[prefix]
		if other.url != url && (strings.HasPrefix(prefix, v.text) || strings.HasPrefix(v.text, prefix)) {
			l.warnf(v.at, "use different prefixes for each cluster",
				"%s (%s) overlaps with %s of another cluster (nomad.%s, line %d): commands on jobs that match both "+
					"need --tier", v.name, quote(v.text), quote(prefix), other.tier, l.line(other.at))
			return
		}
	}
}

// isRemote reports whether an address may belong to another machine.
func isRemote(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "localhost" {
		return err != nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.Unmap().IsLoopback()
}

// checkName checks the name of a tier or a prefix group.
func (l *loader) checkName(n *node, kind string) {
	if lower := strings.ToLower(n.name); namePattern.MatchString(lower) && lower != n.name {
		l.errorf(n.key, "write "+lower, "%s: the name of a %s must be lowercase", n.path(), kind)
	} else if lower != n.name || !namePattern.MatchString(n.name) {
		l.errorf(n.key, "use lowercase letters, digits, - and _", "%s is not a valid %s name", n.path(), kind)
	}
}

func (l *loader) checkReserved(name, path string, at int) {
	if name == "all" || name == "alles" { // alles is the original's all
		l.errorf(at, "choose another name", "%s uses the reserved name %s", path, name)
	}
}

// clusterURL checks the url of a tier. The messages do not contain it, because it may contain a password.
func (l *loader) clusterURL(v value) (address, scheme string) {
	u, err := url.Parse(v.text)
	const hint = `write url = "https://nomad.service.consul:4646"`
	switch {
	case !v.given:
		l.errorf(v.at, hint, "%s is missing", v.name)
	case !v.ok:
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !hasHost(u):
		l.errorf(v.at, hint, "%s is not an http or https address", v.name)
	case u.User != nil:
		l.errorf(v.at, "remove it and set token instead", "%s contains a user name or password", v.name)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		l.errorf(v.at, "remove everything after the port", "%s has a path or a query after the host", v.name)
	default:
		return u.Scheme + "://" + strings.ToLower(u.Host), u.Scheme
	}
	return "", ""
}

// checkPrefix checks a job ID prefix.
func (l *loader) checkPrefix(v value) {
	switch {
	case v.text == "":
		l.warnf(v.at, "write a prefix, unless you mean every job", "%s is empty, so it matches every job", v.name)
	case badPrefixPattern.MatchString(v.text):
		l.errorf(v.at, `write the start of the job IDs, such as "p-team1-"`,
			"%s contains a character that job IDs should not have: %s", v.name, quote(v.text))
	case !strings.HasSuffix(v.text, "-"):
		l.warnf(v.at, "write "+quote(v.text+"-"), "%s (%s) also matches jobs such as %s0", v.name, quote(v.text), v.text)
	}
}

// tokenFile checks a token file. The messages contain neither its content nor text that looks like a token.
func (l *loader) tokenFile(v value) string {
	if data, ok := l.loadCheckedFile(v, true); ok && bytes.ContainsAny(bytes.TrimSpace(data), "\r\n") {
		l.errorf(v.at, "keep only the token in it", "%s: file %s has more than one line", v.name, quote(v.text))
	}
	return v.text
}
