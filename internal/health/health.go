// Package health asks whether a gateway answers, from the machine or the container that it runs in: an image without a
// shell has nothing else to do it with.
package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// checkTimeout is how long an answer may take altogether. It is below the timeout of the image's HEALTHCHECK, so that the
// reason is told.
const checkTimeout = 5 * time.Second

// Check connects to what listens on bind, on loopback if that is every address, and returns the address and the line with
// which an SSH server introduces itself. Any other answer, and none, is an error.
func Check(ctx context.Context, bind string) (address, banner string, err error) {
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
	// Ours first: the gateway waits a moment for a client's line.
	if _, err := io.WriteString(conn, "SSH-2.0-nomadctld_health\r\n"); err != nil {
		return address, "", fmt.Errorf("%s: %w", address, err)
	}
	const most = 255 // of an SSH server's line
	line, err := bufio.NewReader(io.LimitReader(conn, most)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return address, "", fmt.Errorf("%s takes connections and says nothing", address)
	case strings.HasPrefix(line, "SSH-2.0-"):
		return address, strings.TrimRight(line, "\r\n"), nil
	case line == "" && (err == nil || errors.Is(err, io.EOF)):
		return address, "", fmt.Errorf("%s closes the connection at once", address)
	case line == "":
		return address, "", fmt.Errorf("%s: %w", address, err)
	}
	return address, "", fmt.Errorf("%s is no SSH server: it answers %q", address, line)
}

// dialAddress returns where bind is reached from the same machine.
func dialAddress(bind string) (string, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return bind, err
	}
	if port == "0" {
		return bind, fmt.Errorf("%s is whatever port is free, which nobody can know", bind)
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
