package nomad

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// isTransient reports whether a request may succeed a moment later: after a 429, a 5xx (no leader) or a
// network error (connection limit). Timeouts are not retried, because they have already taken long.
func isTransient(err error) bool {
	var response api.UnexpectedResponseError
	if errors.As(err, &response) && response.HasStatusCode() {
		return response.StatusCode() == http.StatusTooManyRequests || response.StatusCode() >= 500
	}
	var request *url.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), !errors.As(err, &request),
		request.Timeout():
		return false
	case errors.As(err, &dns):
		return dns.IsTemporary
	}
	return true
}

// isRateLimited reports whether Nomad rejected a request because of too many requests.
func isRateLimited(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.StatusCode() == http.StatusTooManyRequests
}

// explain returns an error for users: without network addresses.
func explain(err error) error {
	var response api.UnexpectedResponseError
	if errors.As(err, &response) && response.HasStatusCode() {
		body := firstLine(response.Body())
		if response.StatusCode() == http.StatusForbidden {
			return fmt.Errorf("%w (403 %s)", backends.ErrForbidden, body)
		}
		return fmt.Errorf("Nomad returned %d %s", response.StatusCode(), body)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: timed out", backends.ErrUnreachable)
	}
	var request *url.Error
	if !errors.As(err, &request) {
		return fmt.Errorf("cannot read Nomad's response: %w", err)
	}
	reason := request.Err
	var dns *net.DNSError
	var dial *net.OpError
	var system *os.SyscallError
	switch {
	case errors.As(err, &dns):
		reason = errors.New("cannot resolve the host name: " + dns.Err)
	case errors.As(err, &system):
		reason = system.Err
	case errors.As(err, &dial):
		reason = dial.Err
	}
	return fmt.Errorf("%w: %w", backends.ErrUnreachable, reason)
}

// firstLine returns the first line of a response, truncated to a length that fits an error message.
func firstLine(body string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(body), "\n")
	const maxLength = 200
	if len(line) > maxLength {
		line = line[:maxLength] + "..."
	}
	return line
}
