// Package health checks whether a gateway accepts SSH connections, from the machine or container it runs in. An
// image without a shell has no other way to do that. It also serves metrics and the gateway's health over HTTP. It
// must not serve anything that a client without a login may not see.
package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// checkTimeout bounds the whole check. It is shorter than the timeout of the image's HEALTHCHECK, so that the reason
// is printed.
const checkTimeout = 5 * time.Second

// Check connects to the gateway that listens on bind, over loopback if bind means all interfaces. It returns the
// address and the identification line of the SSH server. Any other response, or none, is an error. If this machine
// is among the proxies, from which the gateway expects the PROXY protocol, Check sends a header without an address.
func Check(ctx context.Context, bind string, proxies []netip.Prefix) (address, banner string, err error) {
	address, err = dialAddress(bind)
	if err != nil {
		return address, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return address, "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	// RFC 4253 requires a line of both sides; they may come in either order.
	lines := "SSH-2.0-nomadctld_health\r\n"
	if local, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil && slices.ContainsFunc(proxies,
		func(p netip.Prefix) bool { return p.Contains(local.Addr().Unmap()) }) {
		lines = "PROXY UNKNOWN\r\n" + lines
	}
	if _, err := io.WriteString(conn, lines); err != nil {
		return address, "", fmt.Errorf("%s: %w", address, err)
	}
	const maxBanner = 255 // maximum length of an SSH identification line
	line, err := bufio.NewReader(io.LimitReader(conn, maxBanner)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return address, "", fmt.Errorf("%s accepts connections but sends nothing", address)
	case strings.HasPrefix(line, "SSH-2.0-"):
		return address, strings.TrimRight(line, "\r\n"), nil
	case line == "" && (err == nil || errors.Is(err, io.EOF)):
		return address, "", fmt.Errorf("%s closes the connection immediately", address)
	case line == "":
		return address, "", fmt.Errorf("%s: %w", address, err)
	}
	return address, "", fmt.Errorf("%s is not an SSH server: it sent %q", address, line)
}

// dialAddress returns the address at which bind is reachable from the same machine.
func dialAddress(bind string) (string, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return bind, err
	}
	if port == "0" {
		return bind, fmt.Errorf("%s means any free port, which the check cannot know; set a fixed port", bind)
	}
	switch ip := net.ParseIP(host); {
	case host == "":
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
