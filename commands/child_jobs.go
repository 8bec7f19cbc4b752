package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/router"
)

// runningChildren returns the launches of a periodic or parameterized job that run or are about to. They are counted in a
// listing: the counts of Nomad's summary drift.
func runningChildren(ctx context.Context, req *router.Request, job backends.JobDetail) ([]backends.Job, error) {
	if !job.Periodic && !job.Parameterized {
		return nil, nil
	}
	jobs, err := req.Cluster.Jobs(ctx, backends.Selection{Tier: job.Tier, Namespace: job.Namespace})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(jobs, func(j backends.Job) bool {
		return j.Parent != job.ID || j.Namespace != job.Namespace || j.Stopped || j.Status == "dead"
	}), nil
}

// childJobCount returns "1 child job", "2 child jobs".
func childJobCount(n int) string { return plural(n, "child job") }

// childJobsAre returns "1 child job is", "2 child jobs are".
func childJobsAre(n int) string {
	if n == 1 {
		return childJobCount(n) + " is"
	}
	return childJobCount(n) + " are"
}

// askChildren decides whether the children are stopped too.
func (s *stop) askChildren(ctx context.Context, req *router.Request, children []backends.Job) error {
	if len(children) == 0 || s.children || s.keepChildren || s.yes || req.Terminal == nil {
		return nil
	}
	key, err := choose(ctx, req, "yk", "%s running: child jobs of %s in tier %s. Stop them too: (y)es, (k)eep them running, or (N)o, cancel? [y/k/N] ", childJobsAre(len(children)), req.Job.ID, req.Job.Tier)
	if err != nil {
		return err
	}
	s.children, s.keepChildren, s.yes = key == 'y', key == 'k', true
	return nil
}

// stopChildren stops the children of a job, if that is wanted, and returns those that are still running after that.
func (s *stop) stopChildren(ctx context.Context, req *router.Request, job backends.JobDetail) (left []backends.Job, err error) {
	children, err := runningChildren(ctx, req, job) // again: the job may have launched more
	if err != nil || len(children) == 0 || !s.children {
		return children, err
	}
	report := newProgressPrinter(req)
	var errs []error
	orders := map[string]backends.WriteResult{}
	for i, child := range children {
		report.progress("stopping child jobs of %s: %d of %d", job.ID, i+1, len(children))
		outcome, err := req.Operations.Stop(ctx, child, false)
		switch {
		case errors.Is(err, backends.ErrNotFound): // it has ended, and Nomad has deleted it
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", child.ID, err))
		default:
			orders[child.ID] = outcome
		}
		if ctx.Err() != nil {
			break
		}
	}
	for _, child := range children {
		outcome, ok := orders[child.ID]
		if !ok || s.detach {
			continue
		}
		if err := waitUntilStopped(ctx, req.Cluster, child, "", outcome, report.progress); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", child.ID, err))
		}
	}
	report.clear()
	if ctx.Err() == nil {
		left, err = runningChildren(ctx, req, job)
		if err != nil {
			errs = append(errs, err)
		}
	} else {
		left = slices.DeleteFunc(children, func(c backends.Job) bool { _, ok := orders[c.ID]; return ok })
		errs = append(errs, context.Cause(ctx))
	}
	if n := len(orders); n > 0 {
		done := "stopped"
		if s.detach || len(errs) > 0 {
			done = "requested a stop for"
		}
		printNotice(req, "%s %s of %s", done, childJobCount(n), job.ID)
	}
	return left, errors.Join(errs...)
}

// reportChildren says which children are still running.
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
	printNotice(req, "%s still running: %s (stop them too: stop --children %s)", childJobsAre(len(children)), strings.Join(ids, ", "), job.ID)
}

// maxListed is how many names one line lists.
const maxListed = 10
