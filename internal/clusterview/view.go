// Package clusterview lets the commands of all users share the responses of a cluster, so that many users who watch the
// same jobs cost one read. It owns the cached responses and limits the reads that run at the same time. It does not
// check who may see a response: the router scopes every view.
package clusterview

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"nomadctld/backends"
)

// Shared lets several callers share responses of a cluster. Nobody may change a returned value.
type Shared struct {
	cluster   backends.Cluster
	responses responseCache
	reads     readCoalescer
}

// New returns a Shared that reads c.
func New(c backends.Cluster) *Shared { return &Shared{cluster: c} }

// WithMaxAge returns a view of the cluster that caches Jobs, Job, Schedules, Usage, Checks and NodeStates for maxAge.
// Then all watchers of the same list cost one read. With 0 nothing is cached, but simultaneous calls of Jobs, Job,
// Definition, Versions and Deployments share a read. No result is then older than its call.
func (s *Shared) WithMaxAge(maxAge time.Duration) backends.Cluster { return view{s, maxAge} }

// view is a view of a cluster. It does not embed Cluster, so that a method added to Cluster must decide here how its
// callers share responses.
type view struct {
	shared *Shared
	maxAge time.Duration // 0: no response is cached
}

var _ backends.Cluster = view{}

// sharing states how the callers of a method share its responses.
type sharing struct {
	cached    bool // views with a maximum age cache the response
	coalesced bool // in other views, simultaneous calls share a read
}

// read returns the response for key, or calls query. Nobody may change the value.
func read[T any](
	ctx context.Context, v view, how sharing, key string, query func(context.Context) (T, error),
) (T, error) {
	switch {
	case v.maxAge > 0 && how.cached:
		return cachedRead(ctx, &v.shared.responses, v.maxAge, key, query)
	case v.maxAge <= 0 && how.coalesced:
		return coalesceRead(ctx, &v.shared.reads, key, query)
	}
	return query(ctx)
}

func (v view) Jobs(ctx context.Context, s backends.Selection) ([]backends.Job, error) {
	return read(ctx, v, sharing{cached: true, coalesced: true}, fmt.Sprintf("jobs %+v", s),
		func(ctx context.Context) ([]backends.Job, error) { return v.shared.cluster.Jobs(ctx, s) })
}

func (v view) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	return read(ctx, v, sharing{cached: true, coalesced: true}, "job"+jobsKey(job),
		func(ctx context.Context) (backends.JobDetail, error) { return v.shared.cluster.Job(ctx, job) })
}

func (v view) Schedules(ctx context.Context, jobs []backends.Job) ([]backends.Schedule, error) {
	return read(ctx, v, sharing{cached: true}, "schedules"+jobsKey(jobs...),
		func(ctx context.Context) ([]backends.Schedule, error) { return v.shared.cluster.Schedules(ctx, jobs) })
}

func (v view) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	usage, _ := read(ctx, v, sharing{cached: true}, "usage"+allocationsKey(allocations),
		func(ctx context.Context) (map[string]backends.Usage, error) {
			return v.shared.cluster.Usage(ctx, allocations), nil
		})
	return usage
}

func (v view) Checks(ctx context.Context, allocations []backends.Allocation) map[string][]backends.Check {
	checks, _ := read(ctx, v, sharing{cached: true}, "checks"+allocationsKey(allocations),
		func(ctx context.Context) (map[string][]backends.Check, error) {
			return v.shared.cluster.Checks(ctx, allocations), nil
		})
	return checks
}

func (v view) NodeStates(ctx context.Context, allocations []backends.Allocation) map[string]backends.NodeState {
	states, _ := read(ctx, v, sharing{cached: true}, "nodes"+allocationsKey(allocations),
		func(ctx context.Context) (map[string]backends.NodeState, error) {
			return v.shared.cluster.NodeStates(ctx, allocations), nil
		})
	return states
}

func (v view) Definition(ctx context.Context, job backends.Job, version *uint64) (json.RawMessage, error) {
	key := "definition" + jobsKey(job)
	if version != nil {
		key += fmt.Sprint(" ", *version)
	}
	return read(ctx, v, sharing{coalesced: true}, key,
		func(ctx context.Context) (json.RawMessage, error) {
			return v.shared.cluster.Definition(ctx, job, version)
		})
}

func (v view) Versions(ctx context.Context, job backends.Job) ([]backends.Version, error) {
	return read(ctx, v, sharing{coalesced: true}, "versions"+jobsKey(job),
		func(ctx context.Context) ([]backends.Version, error) { return v.shared.cluster.Versions(ctx, job) })
}

func (v view) Deployments(ctx context.Context, job backends.Job) ([]backends.Deployment, error) {
	return read(ctx, v, sharing{coalesced: true}, "deployments"+jobsKey(job),
		func(ctx context.Context) ([]backends.Deployment, error) {
			return v.shared.cluster.Deployments(ctx, job)
		})
}

func (v view) Allocation(ctx context.Context, a backends.Allocation) (backends.AllocationDetail, error) {
	return v.shared.cluster.Allocation(ctx, a)
}

func (v view) NodeAddress(ctx context.Context, a backends.Allocation) (string, error) {
	return v.shared.cluster.NodeAddress(ctx, a)
}

// jobsKey returns the part of a key that identifies jobs.
func jobsKey(jobs ...backends.Job) string {
	var key strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&key, " %q %q", job.Namespace, job.ID)
	}
	return key.String()
}

// allocationsKey returns the part of a key that identifies allocations. It includes their status, which decides what is
// read.
func allocationsKey(allocations []backends.Allocation) string {
	var key strings.Builder
	for _, a := range allocations {
		key.WriteString(" " + a.ID + a.Status)
	}
	return key.String()
}
