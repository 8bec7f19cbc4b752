package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// SharedCluster is a cluster whose answers several viewers may share.
type SharedCluster struct {
	cluster Cluster

	mu        sync.Mutex
	responses map[string]*cachedResponse

	reads readCoalescer
}

type cachedResponse struct {
	done     chan struct{} // closed when the rest is set
	received time.Time
	value    any
	err      error
}

// NewSharedCluster returns a Shared of c.
func NewSharedCluster(c Cluster) *SharedCluster {
	return &SharedCluster{cluster: c, responses: map[string]*cachedResponse{}}
}

// WithMaxAge returns a view of the cluster in which what is listed may be as old as maxAge: the cluster is asked once for
// all viewers of the same thing. Nobody may change what it returns. With 0 nothing is older than the call, and calls that
// come at the same time share a read.
func (s *SharedCluster) WithMaxAge(maxAge time.Duration) Cluster {
	if maxAge <= 0 {
		return coalescedView{s}
	}
	return cachedView{s, maxAge}
}

// cachedReadTimeout is how long the cluster may take to answer for all viewers, whoever of them leaves meanwhile.
const cachedReadTimeout = 15 * time.Second

// cachedRead returns the answer to what key names: one that is being waited for, one that is young enough, or a new one. A
// viewer who leaves leaves the others their answer.
func cachedRead[T any](ctx context.Context, v cachedView, key string, ask func(context.Context) (T, error)) (T, error) {
	a := v.response(key, func(a *cachedResponse) {
		within := cachedReadTimeout
		if deadline, ok := ctx.Deadline(); ok {
			within = time.Until(deadline) * 9 / 10 // so that what has come by then reaches the viewers in time
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		a.err = Protect(func() (err error) {
			a.value, err = ask(ctx)
			return err
		})
		a.received = time.Now()
		close(a.done)
	})
	var none T
	select {
	case <-a.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	value, _ := a.value.(T)
	return value, a.err
}

// response returns the answer for key, begun anew in the background when there is none, and forgets those that are too
// old for anybody.
func (v cachedView) response(key string, begin func(*cachedResponse)) *cachedResponse {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, a := range v.responses {
		if a.olderThan(time.Hour) {
			delete(v.responses, k)
		}
	}
	a := v.responses[key]
	if a == nil || a.olderThan(v.maxAge) {
		a = &cachedResponse{done: make(chan struct{})}
		v.responses[key] = a
		go begin(a)
	}
	return a
}

// olderThan reports whether the answer has come, and longer than age ago.
func (a *cachedResponse) olderThan(age time.Duration) bool {
	select {
	case <-a.done:
		return time.Since(a.received) > age
	default:
		return false
	}
}

// cachedView is a Shared for viewers who are content with a certain age. It embeds no Cluster: a method that is added has to
// say whether its answers may be shared.
type cachedView struct {
	*SharedCluster
	maxAge time.Duration
}

var _ Cluster = cachedView{}

func (v cachedView) Jobs(ctx context.Context, s Selection) ([]Job, error) {
	return cachedRead(ctx, v, fmt.Sprintf("jobs %+v", s), func(ctx context.Context) ([]Job, error) { return v.cluster.Jobs(ctx, s) })
}

func (v cachedView) Job(ctx context.Context, job Job) (JobDetail, error) {
	return cachedRead(ctx, v, fmt.Sprintf("job %q %q", job.Namespace, job.ID), func(ctx context.Context) (JobDetail, error) { return v.cluster.Job(ctx, job) })
}

func (v cachedView) Schedules(ctx context.Context, jobs []Job) ([]Schedule, error) {
	return cachedRead(ctx, v, "schedules"+jobsKey(jobs), func(ctx context.Context) ([]Schedule, error) { return v.cluster.Schedules(ctx, jobs) })
}

func (v cachedView) Usage(ctx context.Context, allocations []Allocation) map[string]Usage {
	usage, _ := cachedRead(ctx, v, "usage"+allocationsKey(allocations), func(ctx context.Context) (map[string]Usage, error) {
		return v.cluster.Usage(ctx, allocations), nil
	})
	return usage
}

func (v cachedView) Checks(ctx context.Context, allocations []Allocation) map[string][]Check {
	checks, _ := cachedRead(ctx, v, "checks"+allocationsKey(allocations), func(ctx context.Context) (map[string][]Check, error) {
		return v.cluster.Checks(ctx, allocations), nil
	})
	return checks
}

func (v cachedView) Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error) {
	return v.cluster.Definition(ctx, job, version)
}

func (v cachedView) Versions(ctx context.Context, job Job) ([]Version, error) {
	return v.cluster.Versions(ctx, job)
}

func (v cachedView) Deployments(ctx context.Context, job Job) ([]Deployment, error) {
	return v.cluster.Deployments(ctx, job)
}

func (v cachedView) Allocation(ctx context.Context, a Allocation) (AllocationDetail, error) {
	return v.cluster.Allocation(ctx, a)
}

func (v cachedView) NodeAddress(ctx context.Context, a Allocation) (string, error) {
	return v.cluster.NodeAddress(ctx, a)
}

func jobsKey(jobs []Job) string {
	var key strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&key, " %q %q", job.Namespace, job.ID)
	}
	return key.String()
}

func allocationsKey(allocations []Allocation) string {
	var key strings.Builder
	for _, a := range allocations {
		key.WriteString(" " + a.ID + a.Status)
	}
	return key.String()
}
