// Package childjobs finds, stops and lists the child jobs of periodic and parameterized jobs. It must not prompt: its
// caller decides whether child jobs are stopped.
package childjobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
)

// Running returns the child jobs of a periodic or parameterized job that are running or pending. It lists the jobs,
// because the counts in Nomad's job summary drift.
func Running(ctx context.Context, cluster backends.Cluster, job backends.JobDetail) ([]backends.Job, error) {
	if !job.Periodic && !job.Parameterized {
		return nil, nil
	}
	jobs, err := cluster.Jobs(ctx, backends.Selection{Tier: job.Tier, Namespace: job.Namespace})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(jobs, func(j backends.Job) bool {
		return j.Parent != job.ID || j.Namespace != job.Namespace || j.Stopped || j.Status == "dead"
	}), nil
}

// Stop stops the running child jobs of a job and, unless detach is set, waits until they have stopped. It returns the
// number of child jobs that it stopped, and those that are still running.
func Stop(
	ctx context.Context, cluster backends.Cluster, writer backends.ClusterWriter, job backends.JobDetail, detach bool,
	progress monitor.Progress,
) (stopped int, left []backends.Job, err error) {
	children, err := Running(ctx, cluster, job)
	if err != nil || len(children) == 0 {
		return 0, children, err
	}
	var errs []error
	results := map[string]backends.WriteResult{}
	for i, child := range children {
		progress("stopping child jobs of %s: %d of %d", job.ID, i+1, len(children))
		result, err := writer.Stop(ctx, child, false)
		switch {
		case errors.Is(err, backends.ErrNotFound): // it has finished, and Nomad has deleted it
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", child.ID, err))
		default:
			results[child.ID] = result
		}
		if ctx.Err() != nil {
			break
		}
	}
	for _, child := range children {
		result, ok := results[child.ID]
		if !ok || detach {
			continue
		}
		if err := monitor.WaitUntilStopped(ctx, cluster, child, "", result, progress); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", child.ID, err))
		}
	}
	if ctx.Err() == nil {
		left, err = Running(ctx, cluster, job)
		if err != nil {
			errs = append(errs, err)
		}
	} else {
		left = slices.DeleteFunc(children, func(c backends.Job) bool { _, ok := results[c.ID]; return ok })
		errs = append(errs, context.Cause(ctx))
	}
	return len(results), left, errors.Join(errs...)
}

// maxListed is the maximum number of job IDs in a list.
const maxListed = 10

// Count returns "1 child job", "2 child jobs".
func Count(n int) string { return phrase.Count(n, "child job") }

// CountAre returns "1 child job is", "2 child jobs are".
func CountAre(n int) string {
	if n == 1 {
		return Count(n) + " is"
	}
	return Count(n) + " are"
}

// List returns the IDs of the first maxListed child jobs, and how many more there are.
func List(children []backends.Job) string {
	var ids []string
	for i, c := range children {
		if i == maxListed {
			ids = append(ids, fmt.Sprintf("and %d more", len(children)-i))
			break
		}
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, ", ")
}
