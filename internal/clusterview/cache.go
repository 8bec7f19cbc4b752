package clusterview

import (
	"context"
	"sync"
	"time"

	"nomadctld/internal/safego"
)

// responseCache holds pending and recent responses. The zero value is ready to use.
type responseCache struct {
	mu        sync.Mutex
	responses map[string]*cachedResponse // by key; guarded by mu
}

// cachedResponse is a pending or completed response.
type cachedResponse struct {
	done     chan struct{} // closed when the fields below are set
	received time.Time
	value    any
	err      error
}

const (
	// cachedReadTimeout limits a shared read whose first caller has no deadline. Canceling that caller does not end it.
	cachedReadTimeout = 15 * time.Second

	maxResponseAge = time.Hour // older responses are deleted
)

// cachedRead returns the response for key: a pending one, a cached one of at most maxAge, or that of a new read. A
// caller that cancels does not cancel the read for the others.
func cachedRead[T any](
	ctx context.Context, c *responseCache, maxAge time.Duration, key string, query func(context.Context) (T, error),
) (T, error) {
	r := c.response(key, maxAge, func(r *cachedResponse) {
		timeout := cachedReadTimeout
		if deadline, ok := ctx.Deadline(); ok {
			timeout = time.Until(deadline) * 9 / 10 // leaves time to deliver partial results
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		r.err = safego.Protect(func() (err error) {
			r.value, err = query(ctx)
			return err
		})
		r.received = time.Now()
		close(r.done)
	})
	var none T
	select {
	case <-r.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	value, _ := r.value.(T)
	return value, r.err
}

// response returns the response for key. If there is none that is recent enough, it calls read in the background. It
// also deletes responses that are too old for every caller.
func (c *responseCache) response(key string, maxAge time.Duration, read func(*cachedResponse)) *cachedResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, r := range c.responses {
		if r.olderThan(maxResponseAge) {
			delete(c.responses, k)
		}
	}
	r := c.responses[key]
	if r == nil || r.olderThan(maxAge) {
		r = &cachedResponse{done: make(chan struct{})}
		if c.responses == nil {
			c.responses = map[string]*cachedResponse{}
		}
		c.responses[key] = r
		go read(r)
	}
	return r
}

// olderThan reports whether the response was received longer than age ago.
func (r *cachedResponse) olderThan(age time.Duration) bool {
	select {
	case <-r.done:
		return time.Since(r.received) > age
	default:
		return false
	}
}
