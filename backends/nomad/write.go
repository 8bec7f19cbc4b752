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

// writeRequest is a change that Nomad is asked for.
type writeRequest struct {
	job        backends.Job // what it is about; of an allocation's, what is known of it
	capability string       // the capability that it needs
	method     string       // PUT if empty
	path       string
	body       any
	response   any

	// onNode orders are carried out before they are answered, which may take as long as a task may take to end.
	onNode bool

	// verify finds out whether an order was taken whose answer was lost. It returns *ChangedError when the job is neither
	// what it was nor what was ordered. nil: nobody can find out.
	verify func(context.Context) (bool, error)

	// beforeRetry is asked before an order that was not taken is sent once more; its error ends it. nil: nothing to ask.
	beforeRetry func(context.Context) error

	// idempotencyToken makes Nomad recognize an order that it has taken already.
	idempotencyToken string

	retryTimeout time.Duration // instead of limits.notApplied and limits.lostResponse
}

// writeTimeouts are how long orders are tried.
type writeTimeouts struct {
	notApplied   time.Duration // those that Nomad has not taken, because it had no leader or could not be reached
	lostResponse time.Duration // those whose answer was lost
	register     time.Duration // both, of Register: a job that is down waits for it
	response     time.Duration // for each answer
	nodeResponse time.Duration // for each answer of a node
	maxPause     time.Duration // the most between two attempts
}

var defaultWriteTimeouts = writeTimeouts{
	notApplied: 15 * time.Second, lostResponse: 15 * time.Second, register: time.Minute,
	response: 15 * time.Second, nodeResponse: 2 * time.Minute, maxPause: 2 * time.Second,
}

// write returns nil when Nomad has taken the order; w.answer is filled unless the answer was lost and w.look has found
// out. Every other way out is one of the errors that backends.ClusterWriter names, or says that nothing was done.
func (c *Client) write(ctx context.Context, w writeRequest) error {
	token, err := readToken(c.tier.TokenFile)
	if err != nil {
		return err
	}
	begin := time.Now()
	untakenLimit, limit := c.timeouts.notApplied, c.timeouts.lostResponse
	if w.retryTimeout > 0 {
		untakenLimit, limit = w.retryTimeout, w.retryTimeout
	}
	var lost error // of the first answer that was
	var since time.Time
	for attempt := 0; ; attempt++ {
		became, err := c.send(ctx, w, token)
		switch became {
		case applied:
			return nil
		case outcomeUnknown:
			if lost == nil {
				lost, since = err, time.Now()
			}
		}
		switch {
		case lost == nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case lost == nil && became == rejected:
			return c.explainRejection(ctx, w, err)
		case lost == nil: // not taken
			if time.Since(begin) > untakenLimit || !c.pause(ctx, attempt) {
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
			found, cannot := c.verifyOutcome(ctx, w, since.Add(limit), lost)
			if found || cannot != nil {
				return cannot
			}
			if became == rejected {
				return c.explainRejection(ctx, w, err)
			}
		case became == rejected: // to the second time; what came of the first it does not say
			return fmt.Errorf("%w; then: %w", outcomeUnknownError(lost, c.responseTimeout(w)), c.explainRejection(ctx, w, err))
		}
		if time.Since(since) > limit || !c.pause(ctx, attempt) {
			return outcomeUnknownError(lost, c.responseTimeout(w)) // what was not taken until now may still be on its way
		}
	}
}

// verifyOutcome asks until it is known whether the order was taken, or the time is over.
func (c *Client) verifyOutcome(ctx context.Context, w writeRequest, until time.Time, lost error) (bool, error) {
	for attempt := 0; ; attempt++ {
		found, err := w.verify(ctx)
		var changed *backends.ChangedError
		switch {
		case err == nil, errors.Is(err, backends.ErrNotFound), errors.As(err, &changed):
			return found, err
		case errors.Is(err, backends.ErrForbidden), time.Now().After(until), !c.pause(ctx, attempt):
			return false, outcomeUnknownError(lost, c.responseTimeout(w))
		}
	}
}

// pause pauses before the next attempt. The pauses are random, as those of retry are.
func (c *Client) pause(ctx context.Context, attempt int) bool {
	pause := min(retryBackoff<<min(attempt, 10), c.timeouts.maxPause)
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) responseTimeout(w writeRequest) time.Duration {
	if w.onNode {
		return c.timeouts.nodeResponse
	}
	return c.timeouts.response
}

// lateResponseGrace is how long the answer to an order that is on its way is waited for after the end of ctx.
const lateResponseGrace = 5 * time.Second

// send asks once. When ctx ends an order that has not been sent is not sent any more; of another one it is better to know
// what becomes of it.
func (c *Client) send(ctx context.Context, w writeRequest, token string) (writeOutcome, error) {
	if ctx.Err() != nil {
		return notApplied, context.Cause(ctx)
	}
	var sent atomic.Bool
	left := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.responseTimeout(w))
	defer cancel()
	defer context.AfterFunc(left, func() {
		if sent.Load() {
			select {
			case <-time.After(lateResponseGrace):
			case <-ctx.Done():
			}
		}
		cancel()
	})()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	options := (&api.WriteOptions{Namespace: w.job.Namespace, AuthToken: token, IdempotencyToken: w.idempotencyToken}).WithContext(ctx)
	way := c.writes.Raw()
	if w.onNode {
		way = c.nodeWrites.Raw()
	}
	var err error
	if w.method == http.MethodDelete {
		_, err = way.Delete(w.path, w.response, options)
	} else {
		_, err = way.Write(w.path, w.body, w.response, options)
	}
	return outcomeOf(err, sent.Load()), err
}

// jobPath is the path of something about a job. The ID is one part of it whatever it holds.
func jobPath(job backends.Job, what string) string { return "/v1/job/" + url.PathEscape(job.ID) + what }

// allocationPath is the path of something about an allocation below a prefix.
func allocationPath(prefix string, a backends.Allocation, what string) string {
	return prefix + url.PathEscape(a.ID) + what
}
