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

// endpointTemplate is an endpoint in the form of go-dockerclient (unix, http or https) with {node} and {address}.
type endpointTemplate string

// has reports whether the template contains a placeholder.
func (t endpointTemplate) has(placeholder string) bool {
	return strings.Contains(string(t), placeholder)
}

// newEndpointTemplate checks host, replaces the scheme tcp by http or https and adds the port.
func newEndpointTemplate(host, port string, encrypted bool) (endpointTemplate, error) {
	if host == "" {
		host = "tcp://" + nodePlaceholder
	}
	refused := func(why string) (endpointTemplate, error) { return "", fmt.Errorf("host %q %s", host, why) }
	// Without brackets: endpoint adds them to an IPv6 address.
	text := strings.NewReplacer(
		"["+nodePlaceholder+"]", nodePlaceholder, "["+addressPlaceholder+"]", addressPlaceholder,
	).Replace(host)
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
			return refused("is a socket, where TLS has no effect")
		}
		return endpointTemplate(text), nil
	}
	if u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.Trim(u.Path, "/") != "" {
		return refused("is not an address")
	}
	text = strings.TrimRight(text, "/")
	portText := u.Port()
	switch u.Scheme {
	case "tcp":
		scheme, defaultPort := "http", "2375"
		if encrypted {
			scheme, defaultPort = "https", "2376"
		}
		text = scheme + strings.TrimPrefix(text, "tcp")
		if portText == "" {
			portText = cmp.Or(port, defaultPort)
			text += ":" + portText
		}
	case "http":
		if encrypted {
			return refused("is not encrypted, but TLS is set: write tcp or https")
		}
	case "https":
	default:
		return refused("is neither tcp, http, https nor unix")
	}
	if n, err := strconv.ParseUint(portText, 10, 16); portText != "" && (err != nil || n == 0) {
		return refused("has no port between 1 and 65535")
	}
	return endpointTemplate(text), nil
}

// endpoint replaces the placeholders by the node's name and address. Both come from the cluster, so only host names and
// IP addresses are accepted: no port, path or user.
func (t endpointTemplate) endpoint(node Node) (string, error) {
	filled := string(t)
	for _, p := range []struct{ placeholder, value, title string }{
		{nodePlaceholder, node.Name, "name"}, {addressPlaceholder, node.Address, "address"},
	} {
		if !t.has(p.placeholder) {
			continue
		}
		host, err := urlHost(p.value)
		if err != nil {
			return "", unreachable(node, fmt.Errorf("its %s %w", p.title, err))
		}
		if strings.HasPrefix(filled, "unix:") {
			host = strings.Trim(host, "[]")
		}
		filled = strings.ReplaceAll(filled, p.placeholder, host)
	}
	if _, err := url.Parse(filled); err != nil { // an IPv6 address within a host name
		return "", unreachable(node, errors.New("its address does not fit into the setting docker.host"))
	}
	return filled, nil
}

// urlHost returns value as the host of a URL: an IPv6 address in brackets, an IPv4 address or a host name.
func urlHost(value string) (string, error) {
	if value == "" {
		return "", errors.New("is unknown")
	}
	if ip, err := netip.ParseAddr(value); err == nil && ip.Is6() && ip.Zone() == "" {
		return "[" + ip.String() + "]", nil
	}
	if !isHostName(value) {
		return "", errors.New("is not a host name or IP address")
	}
	return value, nil
}

// isHostName reports whether s has only letters, digits, dots, hyphens and underscores and does not start with
// punctuation, as ".." does.
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
