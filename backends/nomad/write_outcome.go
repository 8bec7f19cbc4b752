package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// writeOutcome is the outcome of one attempt to send a change.
type writeOutcome int

const (
	applied        writeOutcome = iota
	notApplied                  // certainly not applied; a retry may succeed
	rejected                    // Nomad has rejected the request
	outcomeUnknown              // the response was lost
)

// noLeaderErrors are parts of the messages that mean that no leader has seen the request.
var noLeaderErrors = []string{
	"No cluster leader", "Not ready to serve consistent reads", "node is not the leader",
	"leadership transfer in progress", "timed out enqueuing operation", "failed to get conn",
	"lead thread didn't get connection",
}

// lostResponseErrors are parts of the messages that mean that a server has lost the response of the leader or of a
// node.
var lostResponseErrors = []string{
	"EOF", "connection reset", "broken pipe", "i/o timeout", "i/o deadline", "session shutdown", "stream closed",
	"stream reset", "connection write timeout", "keepalive timeout", "use of closed network connection",
	"transport is closing", "leadership lost", "raft is already shutdown", "context canceled", "deadline exceeded",
}

// outcomeOf returns the outcome of a request that returned err. sent reports whether it had a connection.
func outcomeOf(err error, sent bool) writeOutcome {
	var response api.UnexpectedResponseError
	switch isResponse := errors.As(err, &response) && response.HasStatusCode(); {
	case err == nil:
		return applied
	case isResponse:
		switch status := response.StatusCode(); {
		case status == http.StatusTooManyRequests:
			return notApplied
		case status < 500:
			return rejected
		case containsAny(response.Body(), noLeaderErrors):
			return notApplied
		case status != http.StatusInternalServerError, containsAny(response.Body(), lostResponseErrors):
			return outcomeUnknown // another status than 500 comes from a proxy
		}
		return rejected
	case sent:
		return outcomeUnknown
	case isTransient(err):
		return notApplied
	}
	return rejected
}

// containsAny reports whether text contains one of the parts.
func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// outcomeUnknownError returns an ErrOutcomeUnknown with the reason why the response was lost.
func outcomeUnknownError(lost error, timeout time.Duration) error {
	var response api.UnexpectedResponseError
	switch {
	case errors.As(lost, &response) && response.HasStatusCode():
		return fmt.Errorf("%w (Nomad returned %d %s)",
			backends.ErrOutcomeUnknown, response.StatusCode(), cleanMessage(response.Body()))
	case errors.Is(lost, context.DeadlineExceeded):
		return fmt.Errorf("%w (timed out after %s)", backends.ErrOutcomeUnknown, timeout)
	}
	return fmt.Errorf("%w (%s)", backends.ErrOutcomeUnknown, withoutAddress(lost))
}

// notFoundErrors are parts of Nomad's messages, besides its 404, about objects that do not exist.
var notFoundErrors = []string{
	"job not found", "deployment not found", "Unknown allocation", "alloc not found", "job does not exist",
}

// explainRejection explains to a user why Nomad has rejected a request.
func (c *Client) explainRejection(ctx context.Context, w writeRequest, err error) error {
	var response api.UnexpectedResponseError
	switch isResponse := errors.As(err, &response) && response.HasStatusCode(); {
	case !isResponse && errors.Is(err, context.DeadlineExceeded): // no connection was free: dialing has a shorter timeout
		return limitedError{fmt.Errorf("%w from Nomad, because too many changes to this cluster are in progress through "+
			"the gateway; nothing was done, retry in a minute", backends.ErrUnreachable)}
	case !isResponse:
		return fmt.Errorf("%w; nothing was done", explain(err))
	}
	reason := cleanMessage(response.Body())
	switch status := response.StatusCode(); {
	case status == http.StatusForbidden && !strings.Contains(reason, "disabled by the scheduler"):
		return c.forbiddenError(ctx, w.job.Namespace, w.capability, err)
	case status < 400:
		return &backends.RejectedError{Reason: "it interprets the ID as another API path"}
	case strings.Contains(reason, noPathToNode), strings.Contains(reason, "Unknown node"):
		return fmt.Errorf("the allocation's node: %w; nothing was done", backends.ErrUnreachable)
	case status == http.StatusNotFound, containsAny(reason, notFoundErrors),
		reason == fmt.Sprintf("job %q not found", w.job.ID):
		return backends.ErrNotFound
	case strings.Contains(reason, "Enforcing job modify index"), strings.Contains(reason, "; enforcing version"):
		if state, err := c.currentState(ctx, w.job); err == nil {
			return &backends.ChangedError{Job: w.job.ID, Version: state.Version}
		} else if errors.Is(err, backends.ErrNotFound) {
			return err
		}
	}
	return &backends.RejectedError{Reason: reason}
}

// cleanMessage returns Nomad's message on one line, without the prefixes of its layers. A list of errors is joined.
func cleanMessage(body string) string {
	body = strings.TrimSpace(body)
	for _, prefix := range []string{"rpc error: ", "code = Unknown desc = ", "Unexpected response code: 500 "} {
		body = strings.TrimPrefix(body, prefix)
	}
	first, rest, more := strings.Cut(body, "\n")
	if !more || !strings.HasSuffix(strings.TrimSpace(first), "occurred:") {
		return firstLine(body)
	}
	var items []string
	for line := range strings.Lines(rest) {
		if item := strings.TrimPrefix(strings.TrimSpace(line), "* "); item != "" {
			items = append(items, item)
		}
	}
	return firstLine(strings.Join(items, "; "))
}

// limitedError is an error that is also backends.ErrLimitReached, without its text.
type limitedError struct{ error }

func (e limitedError) Unwrap() error        { return e.error }
func (e limitedError) Is(target error) bool { return target == backends.ErrLimitReached }
