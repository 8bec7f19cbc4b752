package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// SharedCluster lets several callers share responses of a cluster. Nobody may change a returned value.
type SharedCluster struct {
	cluster Cluster

	mu        sync.Mutex
	responses map[string]*cachedResponse // guarded by mu

	reads readCoalescer
}

// cachedResponse is a pending or completed response.
type cachedResponse struct {
	done     chan struct{} // closed when the fields below are set
	received time.Time
	value    any
	err      error
}

// NewSharedCluster returns a SharedCluster that reads c.
func NewSharedCluster(c Cluster) *SharedCluster {
	return &SharedCluster{cluster: c, responses: map[string]*cachedResponse{}}
}

// WithMaxAge returns a view of the cluster that caches Jobs, Job, Schedules, Usage and Checks for maxAge, so that all
// watchers of the same list cost one read. With 0 nothing is cached, but simultaneous calls of Jobs, Job, Definition,
// Versions and Deployments share a read. No result is then older than its call.
func (s *SharedCluster) WithMaxAge(maxAge time.Duration) Cluster {
	if maxAge <= 0 {
		return coalescedView{s}
	}
	return cachedView{s, maxAge}
}

// cachedReadTimeout limits a shared read whose first caller has no deadline. Canceling that caller does not end it.
const cachedReadTimeout = 15 * time.Second

// cachedRead returns the response for key: a pending one, a cached one that is recent enough, or that of a new read. A
// caller that cancels does not cancel the read for the others.
func cachedRead[T any](
	ctx context.Context, v cachedView, key string, read func(context.Context) (T, error),
) (T, error) {
	r := v.response(key, func(r *cachedResponse) {
		timeout := cachedReadTimeout
		if deadline, ok := ctx.Deadline(); ok {
			timeout = time.Until(deadline) * 9 / 10 // leaves time to deliver partial results
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		r.err = Protect(func() (err error) {
			r.value, err = read(ctx)
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
func (v cachedView) response(key string, read func(*cachedResponse)) *cachedResponse {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, r := range v.responses {
		if r.olderThan(time.Hour) {
			delete(v.responses, k)
		}
	}
	r := v.responses[key]
	if r == nil || r.olderThan(v.maxAge) {
		r = &cachedResponse{done: make(chan struct{})}
		v.responses[key] = r
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

// cachedView is a view of a SharedCluster with a maximum age. It does not embed Cluster, so that a method added to
// Cluster must decide here whether its responses are cached.
type cachedView struct {
	*SharedCluster
	maxAge time.Duration
}

var _ Cluster = cachedView{}

func (v cachedView) Jobs(ctx context.Context, s Selection) ([]Job, error) {
	return cachedRead(ctx, v, fmt.Sprintf("jobs %+v", s), func(ctx context.Context) ([]Job, error) {
		return v.cluster.Jobs(ctx, s)
	})
}

func (v cachedView) Job(ctx context.Context, job Job) (JobDetail, error) {
	key := fmt.Sprintf("job %q %q", job.Namespace, job.ID)
	return cachedRead(ctx, v, key, func(ctx context.Context) (JobDetail, error) { return v.cluster.Job(ctx, job) })
}

func (v cachedView) Schedules(ctx context.Context, jobs []Job) ([]Schedule, error) {
	return cachedRead(ctx, v, "schedules"+jobsKey(jobs), func(ctx context.Context) ([]Schedule, error) {
		return v.cluster.Schedules(ctx, jobs)
	})
}

func (v cachedView) Usage(ctx context.Context, allocations []Allocation) map[string]Usage {
	key := "usage" + allocationsKey(allocations)
	usage, _ := cachedRead(ctx, v, key, func(ctx context.Context) (map[string]Usage, error) {
		return v.cluster.Usage(ctx, allocations), nil
	})
	return usage
}

func (v cachedView) Checks(ctx context.Context, allocations []Allocation) map[string][]Check {
	key := "checks" + allocationsKey(allocations)
	checks, _ := cachedRead(ctx, v, key, func(ctx context.Context) (map[string][]Check, error) {
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

// jobsKey returns a cache key for a list of jobs.
func jobsKey(jobs []Job) string {
	var key strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&key, " %q %q", job.Namespace, job.ID)
	}
	return key.String()
}

// allocationsKey returns a cache key for a list of allocations. It includes their status, which decides what is read.
func allocationsKey(allocations []Allocation) string {
	var key strings.Builder
	for _, a := range allocations {
		key.WriteString(" " + a.ID + a.Status)
	}
	return key.String()
}
