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

// isTransient reports whether the same read may work a moment later: a cluster that elects a leader, a connection
// that was refused or cut for being one too many. A host that did not answer at all has taken its time already.
func isTransient(err error) bool {
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() {
		return answer.StatusCode() == http.StatusTooManyRequests || answer.StatusCode() >= 500
	}
	var request *url.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), !errors.As(err, &request), request.Timeout():
		return false
	case errors.As(err, &dns):
		return dns.IsTemporary
	}
	return true
}

// isRateLimited reports whether Nomad refused a request only because there were too many.
func isRateLimited(err error) bool {
	var answer api.UnexpectedResponseError
	return errors.As(err, &answer) && answer.StatusCode() == http.StatusTooManyRequests
}

// explain returns err in words for a user: what is wrong, without addresses.
func explain(err error) error {
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() {
		body := firstLine(answer.Body())
		if answer.StatusCode() == http.StatusForbidden {
			return fmt.Errorf("%w by Nomad (403 %s)", backends.ErrForbidden, body)
		}
		return fmt.Errorf("Nomad answered %d %s", answer.StatusCode(), body)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w within %s", backends.ErrUnreachable, listTimeout)
	}
	var request *url.Error
	if !errors.As(err, &request) {
		return fmt.Errorf("Nomad's answer cannot be read: %w", err)
	}
	reason := request.Err
	var dns *net.DNSError
	var dial *net.OpError
	var system *os.SyscallError
	switch {
	case errors.As(err, &dns):
		reason = errors.New("its name cannot be resolved: " + dns.Err)
	case errors.As(err, &system):
		reason = system.Err
	case errors.As(err, &dial):
		reason = dial.Err
	}
	return fmt.Errorf("%w: %w", backends.ErrUnreachable, reason)
}

func firstLine(body string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(body), "\n")
	const most = 200
	if len(line) > most {
		line = line[:most] + "..."
	}
	return line
}
