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

	mu     sync.Mutex
	usedBy map[string]int // by user and cluster; guarded by mu
}

// NewQuota returns a quota with a limit for each user and cluster.
func NewQuota(label string, limit int) *Quota {
	return &Quota{label: label, limit: limit, usedBy: map[string]int{}}
}

// Acquire counts one more for the user of ctx on a cluster and returns a function that releases it. It returns
// ErrLimitReached if the user has reached the limit. A nil Quota has no limit.
func (q *Quota) Acquire(ctx context.Context, cluster string) (release func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	key := backends.UserOf(ctx) + "\x00" + cluster
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.usedBy[key] >= q.limit {
		return nil, fmt.Errorf("%w: user %s may open %d %s on one cluster; close one and retry",
			backends.ErrLimitReached, backends.UserOf(ctx), q.limit, q.label)
	}
	q.usedBy[key]++
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.usedBy[key]--; q.usedBy[key] == 0 {
			delete(q.usedBy, key)
		}
	}), nil
}
