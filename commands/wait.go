package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/router"
)

// waitFlags is the flags of commands that give Nomad an order and wait until it is carried out.
type waitFlags struct {
	detach  bool
	timeout time.Duration
}

func (s *waitFlags) bind(f *pflag.FlagSet) {
	f.BoolVarP(&s.detach, "detach", "d", false, "print the evaluation ID and do not wait")
	durationVar(f, &s.timeout, "timeout", 5*time.Minute, "`DURATION` maximum time to wait")
}

func (s *waitFlags) check() error {
	if s.timeout <= 0 {
		return router.Exit(2, errors.New("--timeout takes a time above 0, such as 5m"))
	}
	return nil
}

const (
	pollInterval    = 500 * time.Millisecond
	responseTimeout = 2 * time.Minute // without an answer of the cluster
)

// progressFunc hears how something goes: a report, or an operation.
type progressFunc func(format string, args ...any)

// pollJob looks at a job again and again until look says that it is done or an error. While the cluster does not answer
// it goes on, for two minutes. When ctx ends it returns the cause.
func pollJob(ctx context.Context, cluster backends.Cluster, job backends.Job, tell progressFunc, look func(backends.JobDetail) (done bool, err error)) error {
	var silent time.Time // since when
	for {
		detail, err := cluster.Job(ctx, job)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			silent = time.Time{}
			if done, err := look(detail); done || err != nil {
				return err
			}
		case errors.Is(err, backends.ErrNotFound), errors.Is(err, backends.ErrForbidden):
			return jobError(job, err)
		case silent.IsZero():
			silent = time.Now()
			tell("%v; trying again", err)
		case time.Since(silent) > responseTimeout:
			return fmt.Errorf("the cluster has not answered for %s: %w", responseTimeout, err)
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// sleep waits, and returns the cause when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errWaitTimeout ends a wait; what was waited for goes on.
var errWaitTimeout = errors.New("it was not done in time")

// withTimeout returns ctx with the end of the wait.
func (s *waitFlags) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.timeout, errWaitTimeout)
}

// explainWaitError returns the error for somebody who leaves, or whose time is over, while Nomad carries an order out.
func (s *waitFlags) explainWaitError(err error, job backends.Job) error {
	switch {
	case errors.Is(err, errWaitTimeout):
		why := strings.TrimPrefix(err.Error(), errWaitTimeout.Error()) // such as ": cannot be placed: web: ..."
		return fmt.Errorf("timed out after %s%s; Nomad is still working on it (see: status %s)", s.timeout, why, job.ID)
	case errors.Is(err, router.ErrGatewayStopping):
		return router.Exit(1, fmt.Errorf("%w; Nomad is still working on it (see: status %s)", err, job.ID))
	case errors.Is(err, router.ErrInterrupted):
		return router.Exit(router.ExitCode(err), fmt.Errorf("Nomad is still working on it (see: status %s)", job.ID))
	}
	return err
}

// liveAllocations returns the allocations of a group, or of all for "", that run or are about to.
func liveAllocations(job backends.JobDetail, group string) []backends.Allocation {
	return slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		return a.Status != "running" && a.Status != "pending" || group != "" && a.Group != group
	})
}

// waitUntilStopped waits until nothing of a group, or of the whole job for "", runs any more.
func waitUntilStopped(ctx context.Context, cluster backends.Cluster, job backends.Job, group string, order backends.WriteResult, progress progressFunc) error {
	first := -1
	err := pollJob(ctx, cluster, job, progress, func(now backends.JobDetail) (bool, error) {
		if order.ModifyIndex != 0 && now.ModifyIndex > order.ModifyIndex {
			return true, supersededError(now)
		}
		left := len(liveAllocations(now, group))
		if first = max(first, left); left > 0 {
			progress("%d of %s stopped", first-left, plural(first, "allocation"))
		}
		return left == 0, nil
	})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}

// waitUntilUp waits until what was ordered runs: a group, or the whole job for "".
func (s *waitFlags) waitUntilUp(ctx context.Context, req *router.Request, job backends.Job, group string, outcome backends.WriteResult) error {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := newProgressPrinter(req)
	err := waitForRollout(ctx, req.Cluster, job, group, outcome, report.progress)
	report.clear()
	return s.explainWaitError(err, job)
}

// waitUntilScaled waits until a group has as many allocations as it is to have.
func (s *waitFlags) waitUntilScaled(ctx context.Context, req *router.Request, job backends.Job, group string, count int, outcome backends.WriteResult) error {
	if count > 0 {
		return s.waitUntilUp(ctx, req, job, group, outcome)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := newProgressPrinter(req)
	err := waitUntilStopped(ctx, req.Cluster, job, group, outcome, report.progress)
	report.clear()
	return s.explainWaitError(err, job)
}

// plural returns "1 allocation", "2 allocations".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
