// Package dockerhost parses docker.host, the address of the nodes' Docker daemons. The configuration and the Docker
// client share it, so they accept the same addresses.
package dockerhost

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Placeholders of an address.
const (
	Node    = "{node}"    // name of the node
	Address = "{address}" // IP address of the node
)

// Template is a valid address with placeholders.
type Template struct {
	Text   string   // without brackets around placeholders, and without a slash after the host
	Sample *url.URL // with a host name and an IPv4 address for the placeholders
}

// Parse parses an address: tcp, http or https with a host, and maybe a port, or unix with the path of a socket. Empty
// means tcp://{node}.
func Parse(host string) (Template, error) {
	if host == "" {
		host = "tcp://" + Node
	}
	text := strings.NewReplacer("["+Node+"]", Node, "["+Address+"]", Address).Replace(host)
	sample := strings.NewReplacer(Node, "node", Address, "192.0.2.1").Replace(text)
	u, err := url.Parse(sample)
	valid := err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(sample, "{} ")
	if valid {
		switch u.Scheme {
		case "unix":
			valid = u.Path != "" && u.Host == ""
		case "tcp", "http", "https":
			valid = u.Hostname() != "" && strings.Trim(u.Path, "/") == "" && !strings.HasSuffix(u.Host, ":") &&
				(u.Port() == "" || ValidPort(u.Port()))
			text = strings.TrimRight(text, "/")
		default:
			valid = false
		}
	}
	if !valid {
		return Template{}, errors.New("not the address of a Docker daemon")
	}
	return Template{text, u}, nil
}

// ValidPort reports whether s is a TCP port from 1 to 65535.
func ValidPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n != 0
}
