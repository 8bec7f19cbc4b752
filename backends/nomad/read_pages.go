package nomad

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	maxPerPage      = 2000 // objects; limits a response of a big cluster to a few megabytes
	maxReadAttempts = 3
)

// readPages returns all pages of a list and retries transient errors. capability is the one that the read needs.
func readPages[T any](
	ctx context.Context, c *Client, namespace, filter, capability string, fetch fetchFunc[[]T],
) (all []T, err error) {
	var cause error
	started := time.Now()
	defer func() { c.reportState(ctx, started, err, cause) }()
	q, err := c.queryOptions(ctx, namespace)
	if err != nil {
		return nil, err
	}
	q.Filter, q.PerPage = filter, c.perPage
	for {
		page, meta, err := retryRead(ctx, c.retryBackoff,
			func() ([]T, *api.QueryMeta, error) { return fetch(q) }, isTransient)
		cause = err
		switch {
		case isForbidden(err):
			return nil, c.forbiddenError(ctx, namespace, capability, err)
		case err != nil:
			return nil, explain(err)
		}
		all = append(all, page...)
		if meta.NextToken == "" {
			return all, nil
		}
		q.NextToken = meta.NextToken
	}
}

// retryRead tries a read up to maxReadAttempts times while shouldRetry returns true for its error. It pauses for
// backoff before the second attempt, and twice as long before each further one. The pauses are random, so that many
// gateways do not retry in step.
func retryRead[T any](
	ctx context.Context, backoff time.Duration, read func() (T, *api.QueryMeta, error), shouldRetry func(error) bool,
) (T, *api.QueryMeta, error) {
	for attempt := 1; ; attempt++ {
		value, meta, err := read()
		if err == nil || attempt == maxReadAttempts || !shouldRetry(err) {
			return value, meta, err
		}
		pause := backoff << (attempt - 1)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return value, meta, err
		}
	}
}
