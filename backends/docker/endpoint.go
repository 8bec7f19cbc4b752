package docker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	nodePlaceholder    = "{node}"
	addressPlaceholder = "{address}"
)

// endpointTemplate is an endpoint as go-dockerclient takes it (unix, http or https) with {node} and {address} still in it.
type endpointTemplate string

func (t endpointTemplate) has(place string) bool { return strings.Contains(string(t), place) }

// newEndpointTemplate checks host and makes of tcp what it is, http or https, with a port.
func newEndpointTemplate(host, port string, encrypted bool) (endpointTemplate, error) {
	if host == "" {
		host = "tcp://" + nodePlaceholder
	}
	refused := func(why string) (endpointTemplate, error) { return "", fmt.Errorf("host %q %s", host, why) }
	// Brackets come with the address that needs them.
	text := strings.NewReplacer("["+nodePlaceholder+"]", nodePlaceholder, "["+addressPlaceholder+"]", addressPlaceholder).Replace(host)
	sample := strings.NewReplacer(nodePlaceholder, "node", addressPlaceholder, "192.0.2.1").Replace(text)
	u, err := url.Parse(sample)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(sample, "{} ") {
		return refused("is not an address")
	}
	if u.Scheme == "unix" {
		switch {
		case u.Host != "" || u.Path == "":
			return refused("is not the path of a socket: write unix:///var/run/docker.sock")
		case encrypted:
			return refused("is a socket, for which TLS has no effect")
		}
		return endpointTemplate(text), nil
	}
	if u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.Trim(u.Path, "/") != "" {
		return refused("is not an address")
	}
	text = strings.TrimRight(text, "/")
	named := u.Port()
	switch u.Scheme {
	case "tcp":
		scheme, usual := "http", "2375"
		if encrypted {
			scheme, usual = "https", "2376"
		}
		text = scheme + strings.TrimPrefix(text, "tcp")
		if named == "" {
			named = cmp.Or(port, usual)
			text += ":" + named
		}
	case "http":
		if encrypted {
			return refused("is not encrypted, but TLS is set: write tcp or https")
		}
	case "https":
	default:
		return refused("is neither tcp, http, https nor unix")
	}
	if n, err := strconv.ParseUint(named, 10, 16); named != "" && (err != nil || n == 0) {
		return refused("has no port between 1 and 65535")
	}
	return endpointTemplate(text), nil
}

// endpoint fills in what is known of a node. Names and addresses come from the cluster, so nothing is filled in that
// could be more than a host: a port, a path, a user.
func (t endpointTemplate) endpoint(node Node) (string, error) {
	filled := string(t)
	for _, part := range []struct{ place, value, title string }{
		{nodePlaceholder, node.Name, "name"}, {addressPlaceholder, node.Address, "address"},
	} {
		if !t.has(part.place) {
			continue
		}
		host, err := urlHost(part.value)
		if err != nil {
			return "", unreachable(node, fmt.Errorf("its %s %w", part.title, err))
		}
		if strings.HasPrefix(filled, "unix:") {
			host = strings.Trim(host, "[]")
		}
		filled = strings.ReplaceAll(filled, part.place, host)
	}
	if _, err := url.Parse(filled); err != nil { // an IPv6 address where only a part of a name fits
		return "", unreachable(node, errors.New("its address does not fit into the setting docker.host"))
	}
	return filled, nil
}

// urlHost returns value as it stands in a URL: an IPv6 address in brackets, else a host name or an IPv4 address.
func urlHost(value string) (string, error) {
	if value == "" {
		return "", errors.New("is not known")
	}
	if ip, err := netip.ParseAddr(value); err == nil && ip.Is6() && ip.Zone() == "" {
		return "[" + ip.String() + "]", nil
	}
	if !isHostName(value) {
		return "", errors.New("is not that of a host")
	}
	return value, nil
}

// isHostName reports whether s is letters, digits, dots, hyphens and underscores and begins like a name, which ".." does not.
func isHostName(s string) bool {
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case (r == '.' || r == '-' || r == '_') && i > 0:
		default:
			return false
		}
	}
	return s != ""
}
