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

// write is a change that Nomad is asked for.
type write struct {
	job    backends.Job // what it is about; of an allocation's, what is known of it
	right  string       // the capability that it needs
	method string       // PUT if empty
	path   string
	body   any
	answer any

	// onNode orders are carried out before they are answered, which may take as long as a task may take to end.
	onNode bool

	// look finds out whether an order was taken whose answer was lost. It returns *ChangedError when the job is neither
	// what it was nor what was ordered. nil: nobody can find out.
	look func(context.Context) (bool, error)

	// again is asked before an order that was not taken is sent once more; its error ends it. nil: nothing to ask.
	again func(context.Context) error

	// key makes Nomad recognize an order that it has taken already.
	key string

	limit time.Duration // instead of limits.untaken and limits.lost
}

// limits are how long orders are tried.
type limits struct {
	untaken  time.Duration // those that Nomad has not taken, because it had no leader or could not be reached
	lost     time.Duration // those whose answer was lost
	register time.Duration // both, of Register: a job that is down waits for it
	answer   time.Duration // for each answer
	node     time.Duration // for each answer of a node
	pause    time.Duration // the most between two attempts
}

var defaultLimits = limits{
	untaken: 15 * time.Second, lost: 15 * time.Second, register: time.Minute,
	answer: 15 * time.Second, node: 2 * time.Minute, pause: 2 * time.Second,
}

// operate returns nil when Nomad has taken the order; w.answer is filled unless the answer was lost and w.look has found
// out. Every other way out is one of the errors that backends.ClusterWriter names, or says that nothing was done.
func (c *Client) operate(ctx context.Context, w write) error {
	token, err := readToken(c.tier.TokenFile)
	if err != nil {
		return err
	}
	begin := time.Now()
	untakenLimit, limit := c.limits.untaken, c.limits.lost
	if w.limit > 0 {
		untakenLimit, limit = w.limit, w.limit
	}
	var lost error // of the first answer that was
	var since time.Time
	for attempt := 0; ; attempt++ {
		became, err := c.send(ctx, w, token)
		switch became {
		case taken:
			return nil
		case unknown:
			if lost == nil {
				lost, since = err, time.Now()
			}
		}
		switch {
		case lost == nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case lost == nil && became == denied:
			return c.why(ctx, w, err)
		case lost == nil: // not taken
			if time.Since(begin) > untakenLimit || !c.wait(ctx, attempt) {
				return fmt.Errorf("%w; nothing was done", explain(err))
			}
			if w.again != nil {
				if err := w.again(ctx); err != nil {
					return err
				}
			}
			continue
		case ctx.Err() != nil, w.look == nil && w.key == "":
			return uncertain(lost, c.within(w))
		case w.look != nil:
			found, cannot := c.find(ctx, w, since.Add(limit), lost)
			if found || cannot != nil {
				return cannot
			}
			if became == denied {
				return c.why(ctx, w, err)
			}
		case became == denied: // to the second time; what came of the first it does not say
			return fmt.Errorf("%w; then: %w", uncertain(lost, c.within(w)), c.why(ctx, w, err))
		}
		if time.Since(since) > limit || !c.wait(ctx, attempt) {
			return uncertain(lost, c.within(w)) // what was not taken until now may still be on its way
		}
	}
}

// find asks until it is known whether the order was taken, or the time is over.
func (c *Client) find(ctx context.Context, w write, until time.Time, lost error) (bool, error) {
	for attempt := 0; ; attempt++ {
		found, err := w.look(ctx)
		var changed *backends.ChangedError
		switch {
		case err == nil, errors.Is(err, backends.ErrNotFound), errors.As(err, &changed):
			return found, err
		case errors.Is(err, backends.ErrForbidden), time.Now().After(until), !c.wait(ctx, attempt):
			return false, uncertain(lost, c.within(w))
		}
	}
}

// wait pauses before the next attempt. The pauses are random, as those of retry are.
func (c *Client) wait(ctx context.Context, attempt int) bool {
	pause := min(backoff<<min(attempt, 10), c.limits.pause)
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) within(w write) time.Duration {
	if w.onNode {
		return c.limits.node
	}
	return c.limits.answer
}

// lastWord is how long the answer to an order that is on its way is waited for after the end of ctx.
const lastWord = 5 * time.Second

// send asks once. When ctx ends an order that has not been sent is not sent any more; of another one it is better to know
// what becomes of it.
func (c *Client) send(ctx context.Context, w write, token string) (fate, error) {
	if ctx.Err() != nil {
		return untaken, context.Cause(ctx)
	}
	var sent atomic.Bool
	left := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.within(w))
	defer cancel()
	defer context.AfterFunc(left, func() {
		if sent.Load() {
			select {
			case <-time.After(lastWord):
			case <-ctx.Done():
			}
		}
		cancel()
	})()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	options := (&api.WriteOptions{Namespace: w.job.Namespace, AuthToken: token, IdempotencyToken: w.key}).WithContext(ctx)
	way := c.orders.Raw()
	if w.onNode {
		way = c.nodeOrders.Raw()
	}
	var err error
	if w.method == http.MethodDelete {
		_, err = way.Delete(w.path, w.answer, options)
	} else {
		_, err = way.Write(w.path, w.body, w.answer, options)
	}
	return fateOf(err, sent.Load()), err
}

// jobPath is the path of something about a job. The ID is one part of it whatever it holds.
func jobPath(job backends.Job, what string) string { return "/v1/job/" + url.PathEscape(job.ID) + what }

// allocationPath is the path of something about an allocation below a prefix.
func allocationPath(prefix string, a backends.Allocation, what string) string {
	return prefix + url.PathEscape(a.ID) + what
}
