package commands

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/safego"
	"nomadctld/router"
)

// listJobs returns the jobs that match the request's --tier and --namespace. If some tiers did not respond, it returns
// the jobs of the other tiers and an error.
func listJobs(ctx context.Context, req *router.Request, includeHidden bool) ([]backends.Job, error) {
	defer req.Console.ShowActivity("waiting for the clusters")()
	selection := req.Selection
	selection.IncludeHidden = includeHidden
	jobs, err := req.Access.Cluster.Jobs(ctx, selection)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return jobs, err
}

// filterJobs returns the jobs that match FILTER.
func filterJobs(req *router.Request, jobs []backends.Job) []backends.Job {
	matches := jobFilter(req.Args)
	return slices.DeleteFunc(jobs, func(j backends.Job) bool { return !matches(j) })
}

// canShow reports whether a listing can be shown: err is nil, or contains a backends.TierError for each tier that did
// not respond. Other tiers may have responded.
func canShow(err error) bool {
	var tier *backends.TierError
	return err == nil || errors.As(err, &tier)
}

// statsTimeout is the time a listing waits for the nodes' statistics.
const statsTimeout = 2 * time.Second

// fetchUsage returns the CPU and memory usage of the jobs' running tasks by exec ID, as far as it arrives in time. It
// returns nothing if skip is set. It returns an error only if ctx is done.
func fetchUsage(
	ctx context.Context, req *router.Request, jobs []backends.Job, skip bool,
) (map[string]backends.Usage, error) {
	if skip {
		return nil, nil
	}
	defer req.Console.ShowActivity("waiting for CPU and memory")()
	statsCtx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var allocations []backends.Allocation
	for _, job := range jobs {
		allocations = append(allocations, job.Allocations...)
	}
	return req.Access.Cluster.Usage(statsCtx, allocations), ctx.Err()
}

// maxCheckedAllocations limits the allocations of which a listing reads the service checks.
const maxCheckedAllocations = 200

// checkedAllocations returns the allocations of which a listing reads the service checks, and the number of others that
// may have checks. Over maxCheckedAllocations, allocations that are not healthy take precedence.
func checkedAllocations(jobs []backends.Job) (selected []backends.Allocation, others int) {
	for _, job := range jobs {
		for _, a := range job.Allocations {
			if a.Status == "running" && job.Type != "batch" && job.Type != "sysbatch" {
				selected = append(selected, a)
			}
		}
	}
	healthy := func(a backends.Allocation) int {
		if a.Healthy != nil && *a.Healthy {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(selected, func(a, b backends.Allocation) int { return healthy(a) - healthy(b) })
	others = max(len(selected)-maxCheckedAllocations, 0)
	return selected[:len(selected)-others], others
}

// fetchUsageAndChecks returns what fetchUsage returns, and the service checks of the checked allocations.
func fetchUsageAndChecks(
	ctx context.Context, req *router.Request, jobs []backends.Job, skip bool, checked []backends.Allocation,
) (usage map[string]backends.Usage, checks map[string][]backends.Check, err error) {
	var wg sync.WaitGroup
	if len(checked) > 0 {
		checksCtx, cancel := context.WithTimeout(ctx, statsTimeout)
		defer cancel()
		wg.Go(func() {
			_ = safego.Protect(func() error {
				checks = req.Access.Cluster.Checks(checksCtx, checked)
				return nil
			})
		})
	}
	usage, err = fetchUsage(ctx, req, jobs, skip)
	wg.Wait()
	return usage, checks, err
}

// currentJob returns the current state of the request's job.
func currentJob(ctx context.Context, req *router.Request) (backends.JobDetail, error) {
	defer req.Console.ShowActivity("waiting for the cluster")()
	job, err := req.Access.Cluster.Job(ctx, req.Target.Job)
	if err != nil {
		return job, phrase.JobError(req.Target.Job, err)
	}
	return job, nil
}

// jobFilter returns a function that reports whether a job's ID matches the FILTER argument. Without FILTER every job
// matches. A FILTER with * or ? must match the whole ID, where * also matches slashes. Any other FILTER matches the IDs
// that contain it.
func jobFilter(args []string) func(backends.Job) bool {
	if len(args) == 0 {
		return func(backends.Job) bool { return true }
	}
	filter := args[0]
	if !strings.ContainsAny(filter, "*?") {
		return func(j backends.Job) bool { return strings.Contains(j.ID, filter) }
	}
	// In path.Match, * stops at slashes, and [ and \ are special.
	pattern := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`).Replace(filter)
	return func(j backends.Job) bool {
		ok, _ := path.Match(pattern, strings.ReplaceAll(j.ID, "/", "\x00"))
		return ok
	}
}
