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
	"nomadctld/internal/console"
	"nomadctld/router"
)

// waitFlags holds the flags of commands that request a change and wait until Nomad has applied it.
type waitFlags struct {
	detach  bool
	timeout time.Duration
}

func (w *waitFlags) bind(f *pflag.FlagSet) {
	f.BoolVarP(&w.detach, "detach", "d", false, "print the evaluation ID and do not wait")
	durationVar(f, &w.timeout, "timeout", 5*time.Minute, "`DURATION` maximum time to wait")
}

func (w *waitFlags) check(req *router.Request) error {
	if w.timeout <= 0 {
		return usageError(req, errors.New("--timeout takes a duration above 0, such as 5m"))
	}
	return nil
}

const (
	pollInterval    = 500 * time.Millisecond
	responseTimeout = 2 * time.Minute // maximum time without a response of the cluster
)

// progressFunc prints a progress message.
type progressFunc func(format string, args ...any)

// pollJob polls a job until check returns true or an error. It tolerates errors of the cluster for responseTimeout.
// If ctx is done first, it returns the cause.
func pollJob(
	ctx context.Context, cluster backends.Cluster, job backends.Job, progress progressFunc,
	check func(backends.JobDetail) (done bool, err error),
) error {
	var failing time.Time // the time of the first error; zero: the last poll succeeded
	for {
		detail, err := cluster.Job(ctx, job)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			failing = time.Time{}
			if done, err := check(detail); done || err != nil {
				return err
			}
		case errors.Is(err, backends.ErrNotFound), errors.Is(err, backends.ErrForbidden):
			return jobError(job, err)
		case failing.IsZero():
			failing = time.Now()
			progress("%v; retrying", err)
		case time.Since(failing) > responseTimeout:
			return fmt.Errorf("the cluster has not responded for %s: %w", responseTimeout, err)
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// sleep waits for d. If ctx is done first, it returns the cause.
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

// errWaitTimeout is the cause if a wait times out. Nomad continues to apply the change.
var errWaitTimeout = errors.New("timed out")

// withTimeout returns ctx with the timeout of the wait.
func (w *waitFlags) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, w.timeout, errWaitTimeout)
}

// explainWaitError adds the next step to an error that ended the wait while Nomad continues to apply the change.
func (w *waitFlags) explainWaitError(err error, job backends.Job) error {
	switch {
	case errors.Is(err, errWaitTimeout):
		reason := strings.TrimPrefix(err.Error(), errWaitTimeout.Error()) // such as ": cannot be placed: web: ..."
		return fmt.Errorf("timed out after %s%s; Nomad is still working on it (see: status %s)", w.timeout, reason, job.ID)
	case errors.Is(err, router.ErrGatewayStopping):
		return router.Exit(1, fmt.Errorf("%w; Nomad is still working on it (see: status %s)", err, job.ID))
	case errors.Is(err, console.ErrInterrupted):
		return router.Exit(router.ExitCode(err), fmt.Errorf("Nomad is still working on it (see: status %s)", job.ID))
	}
	return err
}

// liveAllocations returns the running and pending allocations of a group, or of the whole job for "".
func liveAllocations(job backends.JobDetail, group string) []backends.Allocation {
	return slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		return a.Status != "running" && a.Status != "pending" || group != "" && a.Group != group
	})
}

// waitUntilStopped waits until all allocations of a group, or of the whole job for "", have stopped. change is the
// result of the request that stops them.
func waitUntilStopped(
	ctx context.Context, cluster backends.Cluster, job backends.Job, group string, change backends.WriteResult,
	progress progressFunc,
) error {
	total := -1
	err := pollJob(ctx, cluster, job, progress, func(now backends.JobDetail) (bool, error) {
		if change.ModifyIndex != 0 && now.ModifyIndex > change.ModifyIndex {
			return true, supersededError(now)
		}
		left := len(liveAllocations(now, group))
		if total = max(total, left); left > 0 {
			progress("%d of %s stopped", total-left, plural(total, "allocation"))
		}
		return left == 0, nil
	})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}

// waitUntilUp waits until a change of a group, or of the whole job for "", is rolled out.
func (w *waitFlags) waitUntilUp(
	ctx context.Context, req *router.Request, job backends.Job, group string, change backends.WriteResult,
) error {
	ctx, cancel := w.withTimeout(ctx)
	defer cancel()
	report := req.Console.NewProgressLine()
	err := waitForRollout(ctx, req.Access.Cluster, job, group, change, report.Transientf)
	report.Clear()
	return w.explainWaitError(err, job)
}

// waitUntilScaled waits until a group, or the whole job for "", has count allocations.
func (w *waitFlags) waitUntilScaled(
	ctx context.Context, req *router.Request, job backends.Job, group string, count int, change backends.WriteResult,
) error {
	if count > 0 {
		return w.waitUntilUp(ctx, req, job, group, change)
	}
	ctx, cancel := w.withTimeout(ctx)
	defer cancel()
	report := req.Console.NewProgressLine()
	err := waitUntilStopped(ctx, req.Access.Cluster, job, group, change, report.Transientf)
	report.Clear()
	return w.explainWaitError(err, job)
}

// plural returns a number with its noun: "1 allocation", "2 allocations".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
