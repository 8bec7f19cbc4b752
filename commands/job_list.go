package commands

import (
	"context"
	"errors"
	"slices"
	"time"

	"nomadctld/backends"
	"nomadctld/router"
)

// listJobs returns the jobs that the request's --tier and --namespace keep. Where tiers did not answer, the
// others' jobs come along with the error.
func listJobs(ctx context.Context, req *router.Request, finished bool) ([]backends.Job, error) {
	defer req.Progress("waiting for the clusters")()
	selection := req.Selection()
	selection.IncludeHidden = finished
	jobs, err := req.Cluster.Jobs(ctx, selection)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return jobs, err
}

// filterJobs returns the jobs that FILTER keeps.
func filterJobs(req *router.Request, jobs []backends.Job) []backends.Job {
	fits := jobFilter(req.Args)
	return slices.DeleteFunc(jobs, func(j backends.Job) bool { return !fits(j) })
}

// isPartial reports whether there is something to show beside err: none, or some tiers that failed.
func isPartial(err error) bool {
	var tier *backends.TierError
	return err == nil || errors.As(err, &tier)
}

// statsTimeout is how long a listing waits for what nodes have to tell.
const statsTimeout = 2 * time.Second

// fetchUsage returns what the jobs' running tasks use, by exec ID, as far as it comes in time; nothing when unwanted. The
// error is that the request has ended.
func fetchUsage(ctx context.Context, req *router.Request, jobs []backends.Job, unwanted bool) (map[string]backends.Usage, error) {
	if unwanted {
		return nil, nil
	}
	defer req.Progress("waiting for CPU and memory")()
	inTime, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var allocations []backends.Allocation
	for _, job := range jobs {
		allocations = append(allocations, job.Allocations...)
	}
	return req.Cluster.Usage(inTime, allocations), ctx.Err()
}
