package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/monitor"
	"nomadctld/internal/parse"
	"nomadctld/router"
)

// waitFlags holds the flags of commands that request a change and wait until Nomad has applied it.
type waitFlags struct {
	detach  bool
	timeout time.Duration
}

func (w *waitFlags) bind(f *pflag.FlagSet) {
	f.BoolVarP(&w.detach, "detach", "d", false, "print the evaluation ID and do not wait")
	parse.DurationVar(f, &w.timeout, "timeout", 5*time.Minute, "`DURATION` maximum time to wait")
}

func (w *waitFlags) check(req *router.Request) error {
	if w.timeout <= 0 {
		return usageError(req, errors.New("--timeout takes a duration above 0, such as 5m"))
	}
	return nil
}

// withTimeout returns ctx with the timeout of the wait.
func (w *waitFlags) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, w.timeout, monitor.ErrTimeout)
}

// explainWaitError adds the next step to an error that ended the wait while Nomad continues to apply the change.
func (w *waitFlags) explainWaitError(err error, job backends.Job) error {
	switch {
	case errors.Is(err, monitor.ErrTimeout):
		reason := strings.TrimPrefix(err.Error(), monitor.ErrTimeout.Error()) // such as ": cannot be placed: web: ..."
		return fmt.Errorf("timed out after %s%s; Nomad is still working on it (see: status %s)", w.timeout, reason, job.ID)
	case errors.Is(err, router.ErrGatewayStopping):
		return router.Exit(1, fmt.Errorf("%w; Nomad is still working on it (see: status %s)", err, job.ID))
	case errors.Is(err, console.ErrInterrupted):
		return router.Exit(router.ExitCode(err), fmt.Errorf("Nomad is still working on it (see: status %s)", job.ID))
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
	err := monitor.WaitForRollout(ctx, req.Access.Cluster, job, group, change, report.Transientf)
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
	err := monitor.WaitUntilStopped(ctx, req.Access.Cluster, job, group, change, report.Transientf)
	report.Clear()
	return w.explainWaitError(err, job)
}

// printUp prints the result of a change that was waited for. err is the error of the wait. A deployment that waits for
// the promotion of its canaries is a result, not a failure: only a person can promote them, so Nomad has nothing left
// to do. The text states that the promotion is missing.
func (w *waitFlags) printUp(req *router.Request, err error, format string, args ...any) error {
	var waiting *monitor.AwaitsPromotionError
	switch {
	case errors.As(err, &waiting):
		return printResult(req, "%v", waiting)
	case err != nil:
		return err
	}
	return printResult(req, format, args...)
}

// printEvaluation prints the ID of the evaluation, if there is one, for --detach.
func (w *waitFlags) printEvaluation(req *router.Request, result backends.WriteResult) error {
	if result.EvaluationID == "" {
		return nil
	}
	return printResult(req, "%s", result.EvaluationID)
}
