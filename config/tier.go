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

// A place is a tier as the file has it, for what tiers must not share.
type tierDecl struct {
	tier string
	url  string
	at   int
}

// tiers reads [nomad].
func (l *loader) tiers(t *table) []Tier {
	var tiers []Tier
	prefixes, names := map[string]tierDecl{}, map[string]tierDecl{}
	all := t.subtables()
	for _, sub := range all {
		names[sub.node.name] = tierDecl{tier: sub.node.name, at: sub.node.key}
	}
	for _, sub := range all {
		tiers = append(tiers, l.tier(sub, prefixes, names))
	}
	if len(all) == 0 {
		l.errorf(t.at(), `write [nomad.production] with url = "http://..." and prefix = ["p-"]`, "there is no tier, so no job can be reached")
	}
	return tiers
}

func (l *loader) tier(t *table, prefixes, names map[string]tierDecl) Tier {
	defer t.reportUnknownKeys()
	tier := Tier{Name: t.node.name}
	l.checkName(t.node, "a tier")
	l.checkReserved(tier.Name, t.name, t.node.key)
	var scheme string
	address := t.text("url", `url = "http://nomad.service.consul:4646"`)
	tier.URL, scheme = l.clusterURL(address)
	listed := t.texts("prefix", `prefix = ["p-"]`)
	for _, v := range listed.items {
		l.checkPrefix(v)
		tier.Prefixes = append(tier.Prefixes, v.text)
		if other, taken := prefixes[v.text]; tier.URL == "" {
			continue
		} else if !taken {
			l.warnOverlap(v, tier.URL, prefixes)
			prefixes[v.text] = tierDecl{tier.Name, tier.URL, v.at}
		} else if other.url != tier.URL {
			l.errorf(v.at, "give each cluster prefixes of its own", "%s, %s, is also on another cluster: nomad.%s, line %d",
				v.name, quote(v.text), other.tier, l.line(other.at))
		}
	}
	if listed.empty() {
		l.errorf(listed.at, `write prefix = ["p-"]`, "%s is missing, so no job is in this tier", listed.name)
	}
	for _, v := range t.texts("alias", `alias = ["prod"]`).items {
		l.checkReserved(v.text, v.name, v.at)
		if other, taken := names[v.text]; taken {
			l.errorf(v.at, "take another name", "%s, %s, is already a name of nomad.%s, line %d", v.name, quote(v.text), other.tier, l.line(other.at))
		} else if !oneWord(v.text) {
			l.errorf(v.at, `write a word such as "prod"`, "%s is not one word: %s", v.name, quote(v.text))
		} else {
			names[v.text] = tierDecl{tier: tier.Name, at: v.at}
		}
		tier.Aliases = append(tier.Aliases, v.text)
	}
	tier.TokenFile = l.tokenFile(t.text("token", `token = "/etc/nomadctld/token"`))
	if scheme == "http" && tier.TokenFile != "" && isRemote(tier.URL) {
		l.warnf(address.at, "write https://", "%s: the token is sent to another machine without TLS, and anyone on the network path can read it", address.name)
	}
	tier.TLS = l.tls(t.sub("tls"), scheme != "http", "the url begins with http://")
	return tier
}

// warnOverlap warns of a prefix that begins with one of another cluster, or the other way round: a job can then be in both.
func (l *loader) warnOverlap(v value, url string, prefixes map[string]tierDecl) {
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		if other := prefixes[prefix]; other.url != url && (strings.HasPrefix(prefix, v.text) || strings.HasPrefix(v.text, prefix)) {
			l.warnf(v.at, "give each cluster prefixes of its own", "%s, %s, overlaps with %s of nomad.%s, line %d, which is another cluster: commands for jobs that fit both need --tier",
				v.name, quote(v.text), quote(prefix), other.tier, l.line(other.at))
			return
		}
	}
}

// isRemote reports whether an address may be that of another machine.
func isRemote(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "localhost" {
		return err != nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.Unmap().IsLoopback()
}

// checkName checks the name of a tier or group, which people type on the command line.
func (l *loader) checkName(n *node, what string) {
	if low := strings.ToLower(n.name); namePattern.MatchString(low) && low != n.name {
		l.errorf(n.key, "write "+low+", which is how the original nomadctld read it", "%s is not in lower case, as the name of %s has to be", n.path(), what)
	} else if low != n.name || !namePattern.MatchString(n.name) {
		l.errorf(n.key, "use lower-case letters, digits, - and _", "%s is no name for %s", n.path(), what)
	}
}

func (l *loader) checkReserved(name, path string, at int) {
	if name == "all" || name == "alles" {
		l.errorf(at, "take another name", "%s uses the name %s, which means every tier", path, name)
	}
}

// clusterURL checks the url of a tier. It is never shown, as it may hold a password.
func (l *loader) clusterURL(v value) (address, scheme string) {
	u, err := url.Parse(v.text)
	const mend = `write url = "http://nomad.service.consul:4646"`
	switch {
	case !v.given:
		l.errorf(v.at, mend, "%s is missing", v.name)
	case !v.ok:
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !hasHost(u):
		l.errorf(v.at, mend, "%s is not an http or https address", v.name)
	case u.User != nil:
		l.errorf(v.at, "remove it; Nomad is given the token", "%s holds a user name or password", v.name)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		l.errorf(v.at, "end it after the port", "%s has a path or query behind the host", v.name)
	default:
		return u.Scheme + "://" + strings.ToLower(u.Host), u.Scheme
	}
	return "", ""
}

// checkPrefix checks the beginning of job IDs.
func (l *loader) checkPrefix(v value) {
	switch {
	case v.text == "":
		l.warnf(v.at, "name the prefixes, unless every job is meant", `%s, "", matches every job`, v.name)
	case badPrefixPattern.MatchString(v.text):
		l.errorf(v.at, `write it as the job IDs begin, such as "p-team1-"`, "%s holds a character that no job ID should have: %s", v.name, quote(v.text))
	case !strings.HasSuffix(v.text, "-"):
		l.warnf(v.at, "write "+quote(v.text+"-"), "%s, %s, also matches %s0", v.name, quote(v.text), v.text)
	}
}

// tokenFile checks a token file. Neither its content nor what looks like a token is shown.
func (l *loader) tokenFile(v value) string {
	if data, ok := l.loadFile(v, true); ok && bytes.ContainsAny(bytes.TrimSpace(data), "\r\n") {
		l.errorf(v.at, "leave only the token in it", "%s: file %s has more than one line", v.name, quote(v.text))
	}
	return v.text
}
