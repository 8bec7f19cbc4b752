package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Shared is a cluster whose answers several viewers may share.
type Shared struct {
	cluster Cluster

	mu      sync.Mutex
	answers map[string]*answer

	turns turns
}

type answer struct {
	done  chan struct{} // closed when the rest is set
	came  time.Time
	value any
	err   error
}

// Share returns a Shared of c.
func Share(c Cluster) *Shared { return &Shared{cluster: c, answers: map[string]*answer{}} }

// Within returns a view of the cluster in which what is listed may be as old as maxAge: the cluster is asked once for
// all viewers of the same thing. Nobody may change what it returns. With 0 nothing is older than the call, and calls that
// come at the same time share a read.
func (s *Shared) Within(maxAge time.Duration) Cluster {
	if maxAge <= 0 {
		return current{s}
	}
	return view{s, maxAge}
}

// patience is how long the cluster may take to answer for all viewers, whoever of them leaves meanwhile.
const patience = 15 * time.Second

// share returns the answer to what key names: one that is being waited for, one that is young enough, or a new one. A
// viewer who leaves leaves the others their answer.
func share[T any](ctx context.Context, v view, key string, ask func(context.Context) (T, error)) (T, error) {
	a := v.answer(key, func(a *answer) {
		within := patience
		if deadline, ok := ctx.Deadline(); ok {
			within = time.Until(deadline) * 9 / 10 // so that what has come by then reaches the viewers in time
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		a.err = Protect(func() (err error) {
			a.value, err = ask(ctx)
			return err
		})
		a.came = time.Now()
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

// answer returns the answer for key, begun anew in the background when there is none, and forgets those that are too
// old for anybody.
func (v view) answer(key string, begin func(*answer)) *answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, a := range v.answers {
		if a.olderThan(time.Hour) {
			delete(v.answers, k)
		}
	}
	a := v.answers[key]
	if a == nil || a.olderThan(v.maxAge) {
		a = &answer{done: make(chan struct{})}
		v.answers[key] = a
		go begin(a)
	}
	return a
}

// olderThan reports whether the answer has come, and longer than age ago.
func (a *answer) olderThan(age time.Duration) bool {
	select {
	case <-a.done:
		return time.Since(a.came) > age
	default:
		return false
	}
}

// view is a Shared for viewers who are content with a certain age. It embeds no Cluster: a method that is added has to
// say whether its answers may be shared.
type view struct {
	*Shared
	maxAge time.Duration
}

var _ Cluster = view{}

func (v view) Jobs(ctx context.Context, s Selection) ([]Job, error) {
	return share(ctx, v, fmt.Sprintf("jobs %+v", s), func(ctx context.Context) ([]Job, error) { return v.cluster.Jobs(ctx, s) })
}

func (v view) Job(ctx context.Context, job Job) (JobDetail, error) {
	return share(ctx, v, fmt.Sprintf("job %q %q", job.Namespace, job.ID), func(ctx context.Context) (JobDetail, error) { return v.cluster.Job(ctx, job) })
}

func (v view) Schedules(ctx context.Context, jobs []Job) ([]Schedule, error) {
	return share(ctx, v, "schedules"+names(jobs), func(ctx context.Context) ([]Schedule, error) { return v.cluster.Schedules(ctx, jobs) })
}

func (v view) Usage(ctx context.Context, allocations []Allocation) map[string]Usage {
	usage, _ := share(ctx, v, "usage"+ids(allocations), func(ctx context.Context) (map[string]Usage, error) {
		return v.cluster.Usage(ctx, allocations), nil
	})
	return usage
}

func (v view) Checks(ctx context.Context, allocations []Allocation) map[string][]Check {
	checks, _ := share(ctx, v, "checks"+ids(allocations), func(ctx context.Context) (map[string][]Check, error) {
		return v.cluster.Checks(ctx, allocations), nil
	})
	return checks
}

func (v view) Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error) {
	return v.cluster.Definition(ctx, job, version)
}

func (v view) Versions(ctx context.Context, job Job) ([]Version, error) {
	return v.cluster.Versions(ctx, job)
}

func (v view) Deployments(ctx context.Context, job Job) ([]Deployment, error) {
	return v.cluster.Deployments(ctx, job)
}

func (v view) Allocation(ctx context.Context, a Allocation) (AllocationDetail, error) {
	return v.cluster.Allocation(ctx, a)
}

func (v view) NodeAddress(ctx context.Context, a Allocation) (string, error) {
	return v.cluster.NodeAddress(ctx, a)
}

func names(jobs []Job) string {
	var key strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&key, " %q %q", job.Namespace, job.ID)
	}
	return key.String()
}

func ids(allocations []Allocation) string {
	var key strings.Builder
	for _, a := range allocations {
		key.WriteString(" " + a.ID + a.Status)
	}
	return key.String()
}
