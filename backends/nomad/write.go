package nomad

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// writeRequest is a request that changes a job, allocation or deployment.
type writeRequest struct {
	job        backends.Job // if an allocation is changed, only with the fields that a write needs
	capability string       // that the token needs
	method     string       // PUT if empty
	path       string
	body       any
	response   any

	// onNode marks a request that a node handles. It responds when the signal was sent or the task has stopped, which
	// may take long.
	onNode bool

	// verify finds out whether a request whose response was lost has been applied. It returns a *ChangedError if the
	// job has changed, but not to the requested state. It is nil if there is no way to find out.
	verify func(context.Context) (bool, error)

	// beforeRetry is called before a request that was not applied is sent again. If it fails, write returns its error.
	// May be nil.
	beforeRetry func(context.Context) error

	// idempotencyToken lets Nomad detect a request that it has already applied.
	idempotencyToken string

	retryTimeout time.Duration // instead of writeTimeouts.notApplied and lostResponse
}

// writeTimeouts limit the retries of writes.
type writeTimeouts struct {
	notApplied   time.Duration // while Nomad does not apply a request, because it has no leader or cannot be reached
	lostResponse time.Duration // after a lost response
	register     time.Duration // instead of the two above, for Register: the job may be down until it succeeds
	response     time.Duration // for each response
	nodeResponse time.Duration // for each response of a node
	maxPause     time.Duration // between two attempts
}

var defaultWriteTimeouts = writeTimeouts{
	notApplied: 15 * time.Second, lostResponse: 15 * time.Second, register: time.Minute,
	response: 15 * time.Second, nodeResponse: 2 * time.Minute, maxPause: 2 * time.Second,
}

// write sends a request until its outcome is known. It returns nil if Nomad has applied it. w.response is set then,
// unless the response was lost and only w.verify knows the outcome. Other results are the errors of
// backends.ClusterWriter, the cause of ctx, an error of the token file or of w.beforeRetry, or an error whose text
// contains "nothing was done".
//
// Each attempt has one of four outcomes. A request that was certainly not applied is sent again for a while. A
// request that was rejected fails. After a lost response the outcome is unknown: w.verify then reads the job, and
// write sends the request again only if it was not applied. Without w.verify, only a request with an idempotency
// token may be sent again. Once a response has been lost, a later rejection does not prove that the first attempt was
// not applied.
func (c *Client) write(ctx context.Context, w writeRequest) error {
	token, err := ReadToken(c.tier.TokenFile)
	if err != nil {
		return err
	}
	start := time.Now()
	notAppliedTimeout, lostTimeout := c.timeouts.notApplied, c.timeouts.lostResponse
	if w.retryTimeout > 0 {
		notAppliedTimeout, lostTimeout = w.retryTimeout, w.retryTimeout
	}
	var lost error // the error of the first lost response
	var lostAt time.Time
	for attempt := 0; ; attempt++ {
		outcome, err := c.send(ctx, w, token)
		switch outcome {
		case applied:
			return nil
		case outcomeUnknown:
			if lost == nil {
				lost, lostAt = err, time.Now()
			}
		}
		switch {
		case lost == nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case lost == nil && outcome == rejected:
			return c.explainRejection(ctx, w, err)
		case lost == nil: // not applied
			if time.Since(start) > notAppliedTimeout || !c.pause(ctx, attempt) {
				return fmt.Errorf("%w; nothing was done", explain(err))
			}
			if w.beforeRetry != nil {
				if err := w.beforeRetry(ctx); err != nil {
					return err
				}
			}
			continue
		case ctx.Err() != nil, w.verify == nil && w.idempotencyToken == "":
			return outcomeUnknownError(lost, c.responseTimeout(w))
		case w.verify != nil:
			wasApplied, err2 := c.verifyOutcome(ctx, w, lostAt.Add(lostTimeout), lost)
			if wasApplied || err2 != nil {
				return err2
			}
			if outcome == rejected {
				return c.explainRejection(ctx, w, err)
			}
		case outcome == rejected: // this attempt; the outcome of the first is still unknown
			return fmt.Errorf("%w; retry failed: %w",
				outcomeUnknownError(lost, c.responseTimeout(w)), c.explainRejection(ctx, w, err))
		}
		if time.Since(lostAt) > lostTimeout || !c.pause(ctx, attempt) {
			return outcomeUnknownError(lost, c.responseTimeout(w)) // Nomad may still apply an earlier attempt
		}
	}
}

// verifyOutcome calls w.verify until it knows whether the request was applied, or until the deadline.
func (c *Client) verifyOutcome(ctx context.Context, w writeRequest, deadline time.Time, lost error) (bool, error) {
	for attempt := 0; ; attempt++ {
		wasApplied, err := w.verify(ctx)
		var changed *backends.ChangedError
		switch {
		case errors.As(err, &changed): // an earlier attempt may have been applied before the other change
			return false, fmt.Errorf("the request may or may not have been applied: %w", err)
		case err == nil, errors.Is(err, backends.ErrNotFound):
			return wasApplied, err
		case errors.Is(err, backends.ErrForbidden), time.Now().After(deadline), !c.pause(ctx, attempt):
			return false, outcomeUnknownError(lost, c.responseTimeout(w))
		}
	}
}

// pause waits before the next attempt, for a random time, as retryRead does. It returns false if ctx ends.
func (c *Client) pause(ctx context.Context, attempt int) bool {
	pause := min(c.retryBackoff<<min(attempt, 10), c.timeouts.maxPause)
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return true
	case <-ctx.Done():
		return false
	}
}

// responseTimeout returns the timeout of one attempt.
func (c *Client) responseTimeout(w writeRequest) time.Duration {
	if w.onNode {
		return c.timeouts.nodeResponse
	}
	return c.timeouts.response
}

// lateResponseGrace is how long send waits for the response to a pending request after ctx has ended.
const lateResponseGrace = 5 * time.Second

// send makes one attempt. If ctx ends before the request is sent, send cancels it. If ctx ends later, send waits a
// little for the response, so that the outcome is known.
func (c *Client) send(ctx context.Context, w writeRequest, token string) (writeOutcome, error) {
	if ctx.Err() != nil {
		return notApplied, context.Cause(ctx)
	}
	var sent atomic.Bool
	callerCtx := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.responseTimeout(w))
	defer cancel()
	defer context.AfterFunc(callerCtx, func() {
		if sent.Load() {
			select {
			case <-time.After(lateResponseGrace):
			case <-ctx.Done():
			}
		}
		cancel()
	})()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	options := (&api.WriteOptions{
		Namespace: w.job.Namespace, AuthToken: token, IdempotencyToken: w.idempotencyToken,
	}).WithContext(ctx)
	client := c.writes.Raw()
	if w.onNode {
		client = c.nodeWrites.Raw()
	}
	var err error
	if w.method == http.MethodDelete {
		_, err = client.Delete(w.path, w.response, options)
	} else {
		_, err = client.Write(w.path, w.body, w.response, options)
	}
	return outcomeOf(err, sent.Load()), err
}

// jobPath returns an API path about a job. The ID is escaped, because it may contain slashes.
func jobPath(job backends.Job, suffix string) string {
	return "/v1/job/" + url.PathEscape(job.ID) + suffix
}

// allocationPath returns an API path about an allocation.
func allocationPath(prefix string, a backends.Allocation, suffix string) string {
	return prefix + url.PathEscape(a.ID) + suffix
}
