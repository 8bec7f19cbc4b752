// Package restart restarts the allocations of a job in batches, or stops a whole job and registers it again. It owns
// the order of these changes, and what happens if one of them fails or its response is lost. It gets the operation with
// its access from the caller, and must not prompt or decide rights.
package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
	"nomadctld/internal/safego"
)

// Rolling restarts the allocations of a job one batch at a time. Before that, it makes Nomad replace failed allocations
// and create missing ones. It stops at the first batch that does not become healthy.
type Rolling struct {
	Plan
	BatchSize    int
	Wait         time.Duration // pause between batches
	Timeout      time.Duration // time a batch may take to become healthy
	Replace      bool          // stop the allocations, so that Nomad replaces them
	IgnoreChecks bool          // do not wait for service checks

	restarted   []Target // restarted and healthy
	unconfirmed []Target // of the current batch: restarted, but not yet healthy

	batchStart int // index of the first target of the current batch
}

const (
	minUptime     = 2 * time.Second // time that tasks must run to count as healthy
	checksTimeout = 5 * time.Second // maximum time to fetch the check results of a batch

	maxParallelRequests = 4 // a restart request occupies a connection until its tasks have stopped
)

// Run runs the whole restart.
func (r *Rolling) Run(ctx context.Context, op ops.Operation) error {
	if err := r.replaceFailed(ctx, op); err != nil {
		return err
	}
	if err := r.placeMissing(ctx, op); err != nil {
		return fmt.Errorf("the restart of %s stopped before anything was restarted: %w", r.Job.ID, err)
	}
	if len(r.Skipped) > 0 {
		op.Note("skipping %s of %s: %s", phrase.Count(len(r.Skipped), "allocation"), r.Job.ID, skippedText(r.Skipped))
	}
	if len(r.Targets) == 0 {
		return nil
	}
	op.Note("restarting %s of %s, %d at a time",
		phrase.Count(len(r.Targets), "allocation"), r.Job.ID, min(r.BatchSize, len(r.Targets)))
	for batch := range slices.Chunk(r.Targets, r.BatchSize) {
		r.unconfirmed = nil
		now, err := r.beforeBatch(ctx, op)
		if err == nil {
			batch = r.refreshTargets(op, now, batch)
			err = r.restartBatch(ctx, op, batch)
		}
		if err != nil {
			return r.explainStop(op, err)
		}
		r.batchStart += r.BatchSize
		if len(batch) > 0 {
			r.restarted = append(r.restarted, batch...)
			op.Note("%d of %d restarted: %s", len(r.restarted), len(r.Targets), targetNames(batch))
		}
	}
	skipped := ""
	if len(r.Skipped) > 0 {
		skipped = fmt.Sprintf(", skipped %d", len(r.Skipped))
	}
	op.Note("restarted %s of %s%s", phrase.Count(len(r.restarted), "allocation"), r.Job.ID, skipped)
	return nil
}

// explainStop notes which targets were restarted and which were not, and returns err with the job and the counts.
func (r *Rolling) explainStop(op ops.Operation, err error) error {
	op.Note("restarted: %s", targetNames(r.restarted))
	if len(r.unconfirmed) > 0 {
		op.Note("restarted but not confirmed healthy: %s", targetNames(r.unconfirmed))
	}
	op.Note("not restarted: %s", targetNames(slices.DeleteFunc(slices.Clone(r.Targets[r.batchStart:]), func(t Target) bool {
		return slices.ContainsFunc(r.unconfirmed, func(u Target) bool { return u.ID == t.ID })
	})))
	return fmt.Errorf("the restart of %s stopped after %d of %d allocations: %w",
		r.Job.ID, len(r.restarted), len(r.Targets), err)
}

// beforeBatch waits for --wait, except before the first batch, and returns the job's current state. It returns an
// error if the operation was halted, or if the job was changed or can no longer be restarted.
func (r *Rolling) beforeBatch(ctx context.Context, op ops.Operation) (now backends.JobDetail, err error) {
	ctx, stop := cancelOnHalt(ctx, op)
	defer stop()
	if len(r.restarted) > 0 && r.Wait > 0 {
		op.Progress("waiting %s before the next batch", r.Wait)
		if err := monitor.Sleep(ctx, r.Wait); err != nil {
			return now, err
		}
	}
	err = monitor.Poll(ctx, op.Cluster, r.Job.Job, op.Progress, func(job backends.JobDetail) (string, bool, error) {
		if now = job; now.ModifyIndex != r.Job.ModifyIndex {
			return "", true, phrase.ChangedError(now)
		}
		return "", true, CheckRestartable(now)
	})
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return now, err
}

// cancelOnHalt returns a context that is cancelled when the operation is halted.
func cancelOnHalt(ctx context.Context, op ops.Operation) (context.Context, context.CancelFunc) {
	return cancelOn(ctx, op, op.HaltRequested())
}

// cancelOn returns a context that is cancelled with the reason for the halt when halted is closed.
func cancelOn(ctx context.Context, op ops.Operation, halted <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	select {
	case <-halted: // the goroutine might notice it too late
		cancel(op.HaltReason())
	default:
	}
	go func() {
		select {
		case <-halted:
			cancel(op.HaltReason())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// restartBatch restarts a batch and waits until it is healthy. It polls the job and checks what each target still
// waits for. The batch is healthy if every target has been ready for minUptime without a task being started again. If
// the gateway is about to exit, it stops waiting, so that the report states which targets were restarted.
func (r *Rolling) restartBatch(ctx context.Context, op ops.Operation, batch []Target) error {
	if len(batch) == 0 {
		return nil
	}
	op.Progress("restarting %s", targetNames(batch))
	ctx, stop := cancelOn(ctx, op, op.Exiting())
	defer stop()
	if err := r.requestRestarts(ctx, op, batch); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout,
		fmt.Errorf("a batch did not become healthy within %s", r.Timeout))
	defer cancel()
	up := map[string]upState{} // by allocation ID
	waiting := ""
	err := monitor.Poll(ctx, op.Cluster, r.Job.Job, op.Progress, func(now backends.JobDetail) (string, bool, error) {
		checks := r.fetchChecks(ctx, op, now, batch)
		if ctx.Err() != nil { // the check results are missing: keep the previous value of waiting
			return "", true, context.Cause(ctx)
		}
		var reasons []string
		for _, t := range batch {
			reason, err := r.notReady(now, t, checks)
			switch {
			case err != nil:
				return "", true, err
			case reason != "":
				reasons = append(reasons, phrase.ShortID(t.ID)+": "+reason)
				delete(up, t.ID)
			default:
				a, _ := r.currentAllocation(now, t)
				if last := lastStart(a, t.task); up[t.ID].seen.IsZero() || !up[t.ID].started.Equal(last) {
					up[t.ID] = upState{time.Now(), last}
				}
			}
		}
		if waiting = strings.Join(reasons, ", "); waiting != "" {
			return fmt.Sprintf("%d of %d restarted; %s", len(r.restarted), len(r.Targets), waiting), false, nil
		}
		isNew := func(t Target) bool { return time.Since(up[t.ID].seen) < minUptime }
		return "", !slices.ContainsFunc(batch, isNew), nil
	})
	if err != nil && ctx.Err() != nil && waiting != "" {
		err = fmt.Errorf("%w: %s", err, waiting)
	}
	return err
}

// upState is the time when a target was first seen ready, and what the last start of its tasks was at that time. A
// later start resets seen, so that a task that keeps restarting never counts as healthy.
type upState struct{ seen, started time.Time }

// lastStart returns the last start of a task, or of all tasks for "".
func lastStart(a backends.Allocation, task string) (last time.Time) {
	for _, t := range a.Tasks {
		if at := startedAt(t); (task == "" || task == t.Name) && at.After(last) {
			last = at
		}
	}
	return last
}

// refreshTargets returns the current state of a batch, without the targets that were deleted, replaced or stopped
// since the restart started.
func (r *Rolling) refreshTargets(op ops.Operation, now backends.JobDetail, batch []Target) (current []Target) {
	for _, t := range batch {
		i := slices.IndexFunc(now.Allocations, func(a backends.Allocation) bool { return a.ID == t.ID })
		switch {
		case i < 0:
			op.Note("skipping allocation %s: it no longer exists", phrase.ShortID(t.ID))
		case now.Allocations[i].Next != "":
			op.Note("skipping allocation %s: %s has replaced it", phrase.ShortID(t.ID), phrase.ShortID(now.Allocations[i].Next))
		case now.Allocations[i].Status != "running" || now.Allocations[i].Desired != "run":
			op.Note("skipping allocation %s: it is %s", phrase.ShortID(t.ID), now.Allocations[i].Status)
		default:
			current = append(current, Target{now.Allocations[i], t.task})
		}
	}
	return current
}

// requestRestarts requests the restart of all targets of a batch. If the response to a request is lost, the state of
// the target shows later whether it was restarted.
func (r *Rolling) requestRestarts(ctx context.Context, op ops.Operation, batch []Target) error {
	errs := make([]error, len(batch))
	var requests errgroup.Group
	requests.SetLimit(maxParallelRequests)
	for i, t := range batch {
		requests.Go(func() error {
			errs[i] = safego.Protect(func() (err error) {
				if r.Replace {
					_, err = op.Writer.StopAllocation(ctx, t.Allocation)
				} else {
					err = op.Writer.RestartTask(ctx, t.Allocation, t.task)
				}
				return err
			})
			return nil
		})
	}
	requests.Wait()
	for i, t := range batch {
		if errs[i] == nil || errors.Is(errs[i], backends.ErrOutcomeUnknown) {
			r.unconfirmed = append(r.unconfirmed, t)
			errs[i] = nil
		} else {
			errs[i] = fmt.Errorf("allocation %s: %w", phrase.ShortID(t.ID), errs[i])
		}
	}
	return errors.Join(errs...)
}

// fetchChecks returns the service checks of the batch's current allocations, by allocation ID.
func (r *Rolling) fetchChecks(
	ctx context.Context, op ops.Operation, now backends.JobDetail, batch []Target,
) map[string][]backends.Check {
	if r.IgnoreChecks {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	var running []backends.Allocation
	for _, t := range batch {
		if a, ok := r.currentAllocation(now, t); ok && a.Status == "running" {
			running = append(running, a)
		}
	}
	return op.Cluster.Checks(ctx, running)
}

// notReady returns why a restarted target is not ready yet, or "" if it is ready. It returns an error if the target
// will not become ready.
func (r *Rolling) notReady(
	now backends.JobDetail, t Target, checks map[string][]backends.Check,
) (string, error) {
	a, ok := r.currentAllocation(now, t)
	switch {
	case !ok && r.Replace:
		if text := phrase.Unplaced(now.Unplaced); text != "" {
			return "cannot be placed: " + text, nil
		}
		return "being replaced", nil
	case !ok:
		return "", fmt.Errorf("allocation %s no longer exists", phrase.ShortID(t.ID))
	case a.Status == "failed":
		return "", fmt.Errorf("allocation %s has failed (see: info %s)", phrase.ShortID(a.ID), phrase.ShortID(a.ID))
	case a.Status == "lost":
		return "", fmt.Errorf("allocation %s is lost (see: info %s)", phrase.ShortID(a.ID), phrase.ShortID(a.ID))
	case a.Status == "complete" && a.Desired == "run": // a batch job that is done
		return "", nil
	case a.Status == "pending":
		return "pending", nil
	case a.Status == "unknown":
		return "on a disconnected node", nil
	case a.TerminalStatus() || a.Desired != "run":
		return "", fmt.Errorf("allocation %s was stopped during this restart (see: status %s)", phrase.ShortID(a.ID), a.JobID)
	case a.Healthy != nil && !*a.Healthy && r.Replace:
		return "", fmt.Errorf("allocation %s is unhealthy (see: info %s)", phrase.ShortID(a.ID), phrase.ShortID(a.ID))
	}
	reason, started, err := r.tasksNotReady(a, t)
	if reason != "" || err != nil {
		return reason, err
	}
	results, known := checks[a.ID]
	if !known && !r.IgnoreChecks {
		return "no check results yet", nil
	}
	for _, c := range results {
		switch {
		case c.Readiness: // readiness checks do not delay a deployment in Nomad either
		case c.Status == "failure":
			return "check " + c.Name + " is failing", nil
		case c.Status == "pending":
			return "check " + c.Name + " is pending", nil
		case !r.Replace && !c.Time.After(started): // Nomad still has the result from before the restart
			return "check " + c.Name + " has not run since the restart", nil
		}
	}
	return "", nil
}

// tasksNotReady returns why the restarted tasks of an allocation are not ready, or "". Of tasks that were not
// running before the restart, only failures count. started is the last start of the restarted tasks.
func (r *Rolling) tasksNotReady(a backends.Allocation, t Target) (reason string, started time.Time, err error) {
	for _, task := range a.Tasks {
		before := t.taskBefore(task.Name)
		isRestarted := before != nil && t.Runs(*before) && (r.Replace || t.task == "" || t.task == task.Name)
		switch {
		case task.Failed:
			return "", started, fmt.Errorf("task %s of allocation %s has failed (see: logs %s)",
				task.Name, phrase.ShortID(a.ID), task.ExecID)
		case !isRestarted, a.TaskState(task) == backends.StateDead: // such as a prestart task
		case !a.Runs(task):
			return "task " + task.Name + " is " + task.State, started, nil
		case !r.Replace && !startedAt(task).After(startedAt(*before)):
			return "task " + task.Name + " is still stopping", started, nil
		case startedAt(task).After(started):
			started = startedAt(task)
		}
	}
	return "", started, nil
}

// currentAllocation returns the current state of the target's allocation or, with --reschedule, of its replacement.
func (r *Rolling) currentAllocation(now backends.JobDetail, t Target) (backends.Allocation, bool) {
	id := t.ID
	for range len(now.Allocations) {
		i := slices.IndexFunc(now.Allocations, func(a backends.Allocation) bool { return a.ID == id })
		if i < 0 {
			break
		}
		a := now.Allocations[i]
		if !r.Replace || a.ID != t.ID && a.Next == "" {
			return a, true
		}
		if a.Next == "" {
			break
		}
		id = a.Next
	}
	for _, a := range now.Allocations { // in batch jobs, Nomad does not set Next
		if r.Replace && a.Name == t.Name && a.Desired == "run" && a.Created.After(t.Created) && a.ID != t.ID {
			return a, true
		}
	}
	return backends.Allocation{}, false
}

// taskBefore returns the state of a task before the restart.
func (t Target) taskBefore(name string) *backends.Task {
	for i := range t.Tasks {
		if t.Tasks[i].Name == name {
			return &t.Tasks[i]
		}
	}
	return nil
}

// startedAt returns the last start of a task according to its state and its events.
func startedAt(t backends.Task) time.Time {
	at := t.Started
	for _, e := range t.Events {
		if e.Type == "Started" && e.Time.After(at) {
			at = e.Time
		}
	}
	return at
}

// targetNames lists targets by index and allocation ID.
func targetNames(targets []Target) string {
	var all []string
	for _, t := range targets {
		all = append(all, strings.TrimPrefix(t.Name, t.JobID+".")+" "+phrase.ShortID(t.ID))
	}
	return phrase.List(all)
}
