package nomad

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	perPage  = 2000 // objects; keeps single answers of a big cluster to a few megabytes
	attempts = 3
	backoff  = 100 * time.Millisecond // before the second attempt; twice that before the third
)

// list returns all pages of a listing, each read up to attempts times. right is the capability that it needs.
func list[T any](ctx context.Context, c *Client, namespace, filter, right string, fetch func(*api.QueryOptions) ([]T, *api.QueryMeta, error)) ([]T, error) {
	q, err := c.query(ctx, namespace)
	if err != nil {
		return nil, err
	}
	q.Filter, q.PerPage = filter, perPage
	var all []T
	for {
		page, meta, err := retry(ctx, func() ([]T, *api.QueryMeta, error) { return fetch(q) }, passing)
		switch {
		case isForbidden(err):
			return nil, c.forbidden(ctx, namespace, right, err)
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

// retry repeats a read that failed with an error that may pass. The pauses are random, so that many gateways do not
// come back in step.
func retry[T any](ctx context.Context, read func() (T, *api.QueryMeta, error), mayPass func(error) bool) (T, *api.QueryMeta, error) {
	for attempt := 1; ; attempt++ {
		value, meta, err := read()
		if err == nil || attempt == attempts || !mayPass(err) {
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
