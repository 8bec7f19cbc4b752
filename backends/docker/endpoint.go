package docker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"nomadctld/internal/dockerhost"
)

// endpointTemplate is an endpoint in the form of go-dockerclient (unix, http or https) with placeholders.
type endpointTemplate string

// has reports whether the template contains a placeholder.
func (t endpointTemplate) has(placeholder string) bool {
	return strings.Contains(string(t), placeholder)
}

// newEndpointTemplate checks host, replaces the scheme tcp by http or https and adds the port.
func newEndpointTemplate(host, port string, encrypted bool) (endpointTemplate, error) {
	refused := func(why string) (endpointTemplate, error) { return "", fmt.Errorf("host %q %s", host, why) }
	template, err := dockerhost.Parse(host)
	if err != nil {
		return refused("is " + err.Error())
	}
	text := template.Text
	switch scheme := template.Sample.Scheme; {
	case scheme == "unix" && encrypted:
		return refused("is a socket, where TLS has no effect")
	case scheme == "http" && encrypted:
		return refused("is not encrypted, but TLS is set: write tcp or https")
	case scheme != "tcp":
		return endpointTemplate(text), nil
	}
	scheme, defaultPort := "http", "2375"
	if encrypted {
		scheme, defaultPort = "https", "2376"
	}
	text = scheme + strings.TrimPrefix(text, "tcp")
	if template.Sample.Port() == "" {
		port = cmp.Or(port, defaultPort)
		if !dockerhost.ValidPort(port) {
			return refused(fmt.Sprintf("needs a port between 1 and 65535, not %q", port))
		}
		text += ":" + port
	}
	return endpointTemplate(text), nil
}

// endpoint replaces the placeholders by the node's name and address. Both come from the cluster, so only host names and
// IP addresses are accepted: no port, path or user.
func (t endpointTemplate) endpoint(node Node) (string, error) {
	filled := string(t)
	for _, p := range []struct{ placeholder, value, title string }{
		{dockerhost.Node, node.Name, "name"}, {dockerhost.Address, node.Address, "address"},
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
