package restart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
)

const (
	recoveryTimeout  = 5 * time.Minute // time for Nomad to respond before the definition is printed for the user
	recoveryInterval = 3 * time.Second

	definitionTimeout = 5 * time.Second // time to read the definition that the job has after a failure

	lateRequestGrace = 30 * time.Second // time in which a request whose response was lost may still be applied
)

// Full stops a job and registers it again.
type Full struct {
	Job     backends.JobDetail
	Timeout time.Duration // to stop, and again to become healthy
}

// Run runs the whole restart. The definition is saved to disk before the job is stopped, and deleted after Nomad has
// accepted it again.
func (f *Full) Run(ctx context.Context, op ops.Operation) error {
	job := f.Job
	definition, err := op.Cluster.Definition(ctx, job.Job, nil)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	if err := jobrelease.CheckUnchanged(job, definition); err != nil {
		return err
	}
	if err := op.Writer.CheckRegister(ctx, job.Job, definition); err != nil {
		return fmt.Errorf("%s was not stopped, because it could not be registered again: %w", job.ID, err)
	}
	if err := op.HaltReason(); err != nil {
		return fmt.Errorf("%s was not stopped: %w", job.ID, err)
	}
	switch err := op.SaveDefinition(definition, job.Version); {
	case errors.Is(err, ops.ErrNoFolder):
		return fmt.Errorf("%w, so restart --full is refused; ask the gateway's operator to set audit.jobs", err)
	case err != nil:
		return fmt.Errorf("%s was not stopped, because its definition cannot be saved: %w", job.ID, err)
	}
	result, err := op.Writer.Stop(ctx, job.Job, false)
	now, err := confirmStopped(ctx, op, job, err)
	switch {
	case errors.Is(err, errStopUnknown):
		return recoveryError(op, job, definition, err)
	case err != nil:
		return errors.Join(phrase.JobError(job.Job, err), op.DeleteDefinition())
	}
	version := job.Version
	switch {
	case now.Version > version+1 && result.ModifyIndex != 0 && now.ModifyIndex > result.ModifyIndex:
		return errors.Join(fmt.Errorf("%s stays stopped, because somebody else stopped it too during this restart "+
			"(bring it back: start %s)", job.ID, job.ID), op.DeleteDefinition())
	case now.Version > version+1: // somebody changed the job after its definition was read and before it was stopped
		version = now.Version - 1
		newer, err := op.Cluster.Definition(ctx, job.Job, &version)
		if err != nil {
			return errors.Join(fmt.Errorf("%s stays stopped, because it was changed to version %d during this restart, "+
				"and that version cannot be read: %w (bring it back: start %s)", job.ID, version, err, job.ID),
				op.DeleteDefinition())
		}
		if err := op.SaveDefinition(newer, version); err != nil { // continue: otherwise the job stays stopped
			op.Note("version %d of %s cannot be saved: %v", version, job.ID, err)
		}
		op.Note("%s was changed during this restart; registering version %d again", job.ID, version)
		definition = newer
	}
	op.Note("stopping %s at version %d", job.ID, version)
	f.waitForStop(ctx, op, job.Job, now.ModifyIndex)
	registered, err := registerAgain(ctx, op, job.Job, definition, now.ModifyIndex, true)
	if err != nil {
		return recoveryError(op, job, definition, err)
	}
	if err := op.DeleteDefinition(); err != nil {
		op.Note("the saved definition of %s cannot be removed from %s: %v", job.ID, op.DefinitionPath(), err)
	}
	if err := jobrelease.Relink(ctx, op.Cluster, op.SavedDefinitions(), job.Job, definition); err != nil {
		op.Note("%v", err)
	}
	op.Note("registered %s again", job.ID)
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeout,
		fmt.Errorf("timed out after %s; Nomad is still working on it", f.Timeout))
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, op)
	defer stop()
	if err := monitor.WaitForRollout(ctx, op.Cluster, job.Job, "", registered, op.Progress); err != nil {
		return fmt.Errorf("%s was registered again, but is not confirmed running: %w", job.ID, err)
	}
	op.Note("restarted %s", job.ID)
	return nil
}

// errStopUnknown is returned if the outcome of a stop cannot be determined.
var errStopUnknown = errors.New("cannot tell whether the job is stopped")

// confirmStopped polls a job after a request to stop it until it knows the outcome. stopErr is the error of that
// request. It returns the stopped job, or an error if the request did not stop it. The response of the request may have
// been lost, so only the job itself shows whether Nomad applied it.
func confirmStopped(
	ctx context.Context, op ops.Operation, job backends.JobDetail, stopErr error,
) (now backends.JobDetail, err error) {
	start := time.Now()
	uncertain := errors.Is(stopErr, backends.ErrOutcomeUnknown)
	for {
		now, err = op.Cluster.Job(ctx, job.Job)
		switch {
		case err == nil && now.Stopped && stopErr != nil && !uncertain: // somebody else stopped it
			return now, stopErr
		case err == nil && now.Stopped:
			return now, nil
		case err == nil && now.ModifyIndex > job.ModifyIndex && stopErr == nil:
			return now, fmt.Errorf("this restart stopped %s, and somebody else has already registered it again, "+
				"as version %d (see: history %s)", job.ID, now.Version, job.ID)
		case err == nil && now.ModifyIndex > job.ModifyIndex:
			return now, &backends.ChangedError{Job: job.ID, Version: now.Version}
		case errors.Is(err, backends.ErrNotFound) && (stopErr == nil || uncertain): // stopped and garbage-collected
			now.Version = job.Version + 1
			return now, nil
		case errors.Is(err, backends.ErrNotFound):
			return now, err
		case err == nil && stopErr != nil && (!uncertain || time.Since(start) > lateRequestGrace):
			return now, fmt.Errorf("%s was not stopped: %w", job.ID, stopErr)
		case time.Since(start) > recoveryTimeout:
			return now, fmt.Errorf("%w: %w", errStopUnknown, errors.Join(stopErr, err))
		}
		op.Progress("checking whether %s is stopped", job.ID)
		if err := monitor.Sleep(ctx, recoveryInterval); err != nil {
			return now, fmt.Errorf("%w: %w", errStopUnknown, err)
		}
	}
}

// waitForStop waits until no allocation of a stopped job is running, or until the operation is halted.
func (f *Full) waitForStop(ctx context.Context, op ops.Operation, job backends.Job, index uint64) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeout, monitor.ErrTimeout)
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, op)
	defer stop()
	if err := monitor.WaitUntilStopped(ctx, op.Cluster, job, "", backends.WriteResult{ModifyIndex: index},
		op.Progress); err != nil {
		op.Note("some allocations of %s are still running (%v); registering it again anyway", job.ID, err)
	}
}

// registerAgain registers a definition. It retries for recoveryTimeout, unless the job has changed since index. A job
// that was stopped may have been garbage-collected; then it is registered as a new job.
func registerAgain(
	ctx context.Context, op ops.Operation, job backends.Job, definition json.RawMessage, index uint64, wasStopped bool,
) (backends.WriteResult, error) {
	until := time.Now().Add(recoveryTimeout)
	for {
		result, err := op.Writer.Register(ctx, job, definition, index)
		var changed *backends.ChangedError
		switch {
		case err == nil, time.Now().After(until):
			return result, err
		case errors.As(err, &changed), errors.Is(err, backends.ErrNotFound) && !wasStopped:
			return result, err
		case errors.Is(err, backends.ErrNotFound):
			index = 0
		}
		op.Progress("%v; retrying", err)
		if err := monitor.Sleep(ctx, recoveryInterval); err != nil {
			return result, err
		}
	}
}

// recoveryError returns the error for a job that could not be registered again, with the next step. Unless the job is
// running anyway, it prints the definition, which may be the only copy.
func recoveryError(op ops.Operation, job backends.JobDetail, definition json.RawMessage, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), definitionTimeout)
	defer cancel()
	text, readErr := op.Cluster.Definition(ctx, job.Job, nil)
	var now, before jobrelease.Identity
	if readErr == nil {
		now, readErr = jobrelease.Identify(text)
		before, _ = jobrelease.Identify(definition)
	}
	if readErr == nil && !now.Stop && now.CreateIndex == before.CreateIndex {
		return errors.Join(fmt.Errorf("%s is not stopped: it is at version %d, registered by this restart or by "+
			"somebody else: %w (see: history %s)", job.ID, now.Version, err, job.ID), op.DeleteDefinition())
	}
	op.Note("the definition of %s, saved in %s:", job.ID, op.DefinitionPath())
	if safe, err := escape.JSON(definition, ""); err == nil {
		definition = safe // JSON that is safe for a terminal
	}
	op.Note("%s", definition)
	if readErr == nil && !now.Stop {
		return fmt.Errorf("%s was stopped, and another job with its name is running now: %w "+
			"(delete the saved definition: ops --forget %s)", job.ID, err, op.ID)
	}
	return fmt.Errorf("%s may be stopped and could not be registered again: %w (bring it back: ops --restore %s)",
		job.ID, err, op.ID)
}
