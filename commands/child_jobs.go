package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

// runningChildren returns the child jobs of a periodic or parameterized job that are running or pending. It lists the
// jobs, because the counts in Nomad's job summary drift.
func runningChildren(ctx context.Context, req *router.Request, job backends.JobDetail) ([]backends.Job, error) {
	if !job.Periodic && !job.Parameterized {
		return nil, nil
	}
	jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Tier: job.Tier, Namespace: job.Namespace})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(jobs, func(j backends.Job) bool {
		return j.Parent != job.ID || j.Namespace != job.Namespace || j.Stopped || j.Status == "dead"
	}), nil
}

// childJobCount returns "1 child job", "2 child jobs".
func childJobCount(n int) string { return phrase.Count(n, "child job") }

// childJobsAre returns "1 child job is", "2 child jobs are".
func childJobsAre(n int) string {
	if n == 1 {
		return childJobCount(n) + " is"
	}
	return childJobCount(n) + " are"
}

// askChildren prompts whether to stop the children too, unless a flag has decided that.
func (s *stop) askChildren(ctx context.Context, req *router.Request, children []backends.Job) error {
	if len(children) == 0 || s.children || s.keepChildren || s.yes || req.Console.Terminal == nil {
		return nil
	}
	are := "are"
	if len(children) == 1 {
		are = "is"
	}
	key, err := choose(ctx, req, "yk",
		"%s of %s %s running in tier %s. Stop them too? (y)es, (k)eep them running, or do (N)othing [y/k/N] ",
		childJobCount(len(children)), req.Target.Job.ID, are, req.Target.Job.Tier)
	if err != nil {
		return err
	}
	s.children, s.keepChildren, s.yes = key == 'y', key == 'k', true
	return nil
}

// stopChildren stops the child jobs of a job if --children or the prompt requests that. It returns those still running.
func (s *stop) stopChildren(
	ctx context.Context, req *router.Request, job backends.JobDetail,
) (left []backends.Job, err error) {
	children, err := runningChildren(ctx, req, job) // list again: the job may have started more
	if err != nil || len(children) == 0 || !s.children {
		return children, err
	}
	report := req.Console.NewProgressLine()
	var errs []error
	results := map[string]backends.WriteResult{}
	for i, child := range children {
		report.Transientf("stopping child jobs of %s: %d of %d", job.ID, i+1, len(children))
		result, err := req.Access.Writer.Stop(ctx, child, false)
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
		if !ok || s.detach {
			continue
		}
		if err := monitor.WaitUntilStopped(ctx, req.Access.Cluster, child, "", result, report.Transientf); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", child.ID, err))
		}
	}
	report.Clear()
	if ctx.Err() == nil {
		left, err = runningChildren(ctx, req, job)
		if err != nil {
			errs = append(errs, err)
		}
	} else {
		left = slices.DeleteFunc(children, func(c backends.Job) bool { _, ok := results[c.ID]; return ok })
		errs = append(errs, context.Cause(ctx))
	}
	if n := len(results); n > 0 {
		done := "stopped"
		if s.detach || len(errs) > 0 {
			done = "asked Nomad to stop"
		}
		printNotice(req, "%s %s of %s", done, childJobCount(n), job.ID)
	}
	return left, errors.Join(errs...)
}

// reportChildren prints which child jobs are still running.
func reportChildren(req *router.Request, job backends.JobDetail, children []backends.Job) {
	if len(children) == 0 {
		return
	}
	var ids []string
	for i, c := range children {
		if i == maxListed {
			ids = append(ids, fmt.Sprintf("and %d more", len(children)-i))
			break
		}
		ids = append(ids, c.ID)
	}
	printNotice(req, "%s still running: %s (stop them too: stop --children %s)",
		childJobsAre(len(children)), strings.Join(ids, ", "), job.ID)
}

// maxListed is the maximum number of job IDs in one line.
const maxListed = 10
