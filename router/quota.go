package router

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"nomadctld/acl"
	"nomadctld/backends"
)

// Quota limits how many programs, or logs, a user or prefix group may have open on a cluster.
type Quota struct {
	label  string // the limited things, such as programs
	limit  int    // of each user
	groups map[string]int
	usage  *quotaUsage
}

// quotaUsage counts what is open.
type quotaUsage struct {
	mu   sync.Mutex
	open map[quotaKey]int // guarded by mu
}

// quotaKey identifies what is counted together.
type quotaKey struct{ kind, name, cluster string }

// NewQuota returns a quota with a limit for each user and cluster. groups has the limits of prefix groups, by name, for
// all their users together. A limit of 0 in groups means that there is none.
func NewQuota(label string, limit int, groups map[string]int) *Quota {
	return &Quota{label, limit, groups, &quotaUsage{open: map[quotaKey]int{}}}
}

// WithLimits returns a quota with other limits. It counts what is open together with q.
func (q *Quota) WithLimits(limit int, groups map[string]int) *Quota {
	return &Quota{q.label, limit, groups, q.usage}
}

// Acquire counts one more for the user of ctx on a cluster, and for the user's groups. It returns a function that
// releases it, or ErrLimitReached if a limit is reached. A nil Quota has no limit.
func (q *Quota) Acquire(ctx context.Context, cluster string) (release func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	keys := []quotaKey{{"user", backends.UserOf(ctx), cluster}}
	for _, name := range groupsOf(ctx) {
		keys = append(keys, quotaKey{"prefix group", name, cluster})
	}
	u := q.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, key := range keys {
		limit := q.limit
		if i > 0 {
			limit = q.groups[key.name]
		}
		if (i == 0 || limit > 0) && u.open[key] >= limit {
			return nil, fmt.Errorf("%w: %s %s may open %d %s on one cluster; close one and retry",
				backends.ErrLimitReached, key.kind, key.name, limit, q.label)
		}
	}
	for _, key := range keys {
		u.open[key]++
	}
	return sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, key := range keys {
			if u.open[key]--; u.open[key] == 0 {
				delete(u.open, key)
			}
		}
	}), nil
}

type groupsKey struct{}

// withUser returns a context for work on behalf of a user.
func withUser(ctx context.Context, u acl.User) context.Context {
	var groups []string
	for _, g := range u.Groups {
		if !slices.Contains(groups, g.Name) { // a certificate may grant it again
			groups = append(groups, g.Name)
		}
	}
	return context.WithValue(backends.WithUser(ctx, u.Login), groupsKey{}, groups)
}

// groupsOf returns the names of the user's prefix groups, from withUser.
func groupsOf(ctx context.Context) []string {
	groups, _ := ctx.Value(groupsKey{}).([]string)
	return groups
}
