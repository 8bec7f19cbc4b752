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

// writeOutcome is what became of an order that was sent.
type writeOutcome int

const (
	applied        writeOutcome = iota
	notApplied                  // Nomad has not taken it, and may a moment later
	rejected                    // Nomad has not taken it, and says why
	outcomeUnknown              // the answer was lost
)

// What Nomad says of an order that nobody looked at: there was no leader, or no way to it.
var noLeaderErrors = []string{
	"No cluster leader", "Not ready to serve consistent reads", "node is not the leader", "leadership transfer in progress",
	"timed out enqueuing operation", "failed to get conn", "lead thread didn't get connection",
}

// What Nomad says when it has lost the answer itself, on the way from its leader or from the allocation's node.
var lostResponseErrors = []string{
	"EOF", "connection reset", "broken pipe", "i/o timeout", "i/o deadline", "session shutdown", "stream closed", "stream reset",
	"connection write timeout", "keepalive timeout", "use of closed network connection", "transport is closing",
	"leadership lost", "raft is already shutdown", "context canceled", "deadline exceeded",
}

// outcomeOf says what became of an order. sent: there was a connection to send it on.
func outcomeOf(err error, sent bool) writeOutcome {
	var answer api.UnexpectedResponseError
	switch isAnswer := errors.As(err, &answer) && answer.HasStatusCode(); {
	case err == nil:
		return applied
	case isAnswer:
		switch status := answer.StatusCode(); {
		case status == http.StatusTooManyRequests:
			return notApplied
		case status < 500:
			return rejected
		case containsAny(answer.Body(), noLeaderErrors):
			return notApplied
		case status != http.StatusInternalServerError, containsAny(answer.Body(), lostResponseErrors):
			return outcomeUnknown // another status than 500 is of something between, such as a proxy
		}
		return rejected
	case sent:
		return outcomeUnknown
	case isTransient(err):
		return notApplied
	}
	return rejected
}

func containsAny(text string, any []string) bool {
	for _, part := range any {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// outcomeUnknownError is an order of which nobody knows what became.
func outcomeUnknownError(lost error, within time.Duration) error {
	var answer api.UnexpectedResponseError
	switch {
	case errors.As(lost, &answer) && answer.HasStatusCode():
		return fmt.Errorf("%w (Nomad answered %d %s)", backends.ErrOutcomeUnknown, answer.StatusCode(), cleanMessage(answer.Body()))
	case errors.Is(lost, context.DeadlineExceeded):
		return fmt.Errorf("%w (nothing came within %s)", backends.ErrOutcomeUnknown, within)
	}
	return fmt.Errorf("%w (%s)", backends.ErrOutcomeUnknown, withoutAddress(lost))
}

// What Nomad says of what is not there, beside its 404.
var notFoundErrors = []string{"job not found", "deployment not found", "Unknown allocation", "alloc not found", "job does not exist"}

// explainRejection returns in words for a user why Nomad does not take an order.
func (c *Client) explainRejection(ctx context.Context, w writeRequest, err error) error {
	var answer api.UnexpectedResponseError
	switch isAnswer := errors.As(err, &answer) && answer.HasStatusCode(); {
	case !isAnswer && errors.Is(err, context.DeadlineExceeded): // making a connection takes less, waiting for one may not
		return fmt.Errorf("%w: too many orders to this cluster are on their way; nothing was done; try again later", backends.ErrUnreachable)
	case !isAnswer:
		return fmt.Errorf("%w; nothing was done", explain(err))
	}
	reason := cleanMessage(answer.Body())
	switch status := answer.StatusCode(); {
	case status == http.StatusForbidden && !strings.Contains(reason, "disabled by the scheduler"):
		return c.forbiddenError(ctx, w.job.Namespace, w.capability, err)
	case status < 400:
		return &backends.RejectedError{Reason: "it takes the ID for the way to something else"}
	case strings.Contains(reason, noPathToNode), strings.Contains(reason, "Unknown node"):
		return fmt.Errorf("%w from the allocation's node; nothing was done", backends.ErrUnreachable)
	case status == http.StatusNotFound, containsAny(reason, notFoundErrors), reason == fmt.Sprintf("job %q not found", w.job.ID):
		return backends.ErrNotFound
	case strings.Contains(reason, "Enforcing job modify index"), strings.Contains(reason, "; enforcing version"):
		if h, err := c.currentState(ctx, w.job); err == nil {
			return &backends.ChangedError{Job: w.job.ID, Version: h.Version}
		} else if errors.Is(err, backends.ErrNotFound) {
			return err
		}
	}
	return &backends.RejectedError{Reason: reason}
}

// cleanMessage returns what Nomad says without what its layers have put before it, in one line: of a list, its items.
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
