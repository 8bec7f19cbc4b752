package router

import (
	"context"
	"fmt"
	"sync"

	"nomadctld/backends"
)

// Quota limits how many programs, or logs, each user may have open on a cluster.
type Quota struct {
	label string // the limited things, such as programs
	limit int
	usage *quotaUsage
}

// quotaUsage counts what is open.
type quotaUsage struct {
	mu   sync.Mutex
	open map[string]int // by user and cluster; guarded by mu
}

// NewQuota returns a quota with a limit for each user and cluster.
func NewQuota(label string, limit int) *Quota {
	return &Quota{label, limit, &quotaUsage{open: map[string]int{}}}
}

// WithLimit returns a quota with another limit. It counts what is open together with q.
func (q *Quota) WithLimit(limit int) *Quota { return &Quota{q.label, limit, q.usage} }

// Acquire counts one more for the user of ctx on a cluster and returns a function that releases it. It returns
// ErrLimitReached if the user has reached the limit. A nil Quota has no limit.
func (q *Quota) Acquire(ctx context.Context, cluster string) (release func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	key := backends.UserOf(ctx) + "\x00" + cluster
	u := q.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open[key] >= q.limit {
		return nil, fmt.Errorf("%w: user %s may open %d %s on one cluster; close one and retry",
			backends.ErrLimitReached, backends.UserOf(ctx), q.limit, q.label)
	}
	u.open[key]++
	return sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.open[key]--; u.open[key] == 0 {
			delete(u.open, key)
		}
	}), nil
}
