package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

const (
	recoveryTimeout  = 5 * time.Minute // for Nomad to answer, until the definition is given back to the user
	recoveryInterval = 3 * time.Second

	lateRequestGrace = 30 * time.Second // an order whose answer was lost may come so late
)

// restartFull stops a job and registers it again. From before it is stopped until Nomad has it again, its definition is on
// disk.
func (r *restart) restartFull(ctx context.Context, w router.Work, job backends.JobDetail) error {
	definition, err := w.Cluster.Definition(ctx, job.Job, nil)
	if err != nil {
		return jobError(job.Job, err)
	}
	if err := checkUnchanged(job, definition); err != nil {
		return err
	}
	if err := w.Operations.CheckRegister(ctx, job.Job, definition); err != nil {
		return fmt.Errorf("%s is not stopped, because it could not be registered again: %w", job.ID, err)
	}
	if err := w.HaltReason(); err != nil {
		return fmt.Errorf("%s is not stopped: %w", job.ID, err)
	}
	switch err := w.SaveDefinition(definition, job.Version); {
	case errors.Is(err, ops.ErrNoFolder):
		return fmt.Errorf("%w, so --full is not safe: the gateway's operator has to set audit.jobs", err)
	case err != nil:
		return fmt.Errorf("the job's definition cannot be kept, so it is not stopped: %w", err)
	}
	outcome, err := w.Operations.Stop(ctx, job.Job, false)
	is, err := confirmStopped(ctx, w, job, err)
	switch {
	case errors.Is(err, errStopUnknown):
		return recoveryError(w, job, definition, err)
	case err != nil:
		return errors.Join(jobError(job.Job, err), w.DeleteDefinition())
	}
	version := job.Version
	switch {
	case is.Version > version+1 && outcome.ModifyIndex != 0 && is.ModifyIndex > outcome.ModifyIndex:
		return errors.Join(fmt.Errorf("%s was stopped by somebody else too, after this restart had stopped it, so it is not registered again: bring it back with: start %s", job.ID, job.ID), w.DeleteDefinition())
	case is.Version > version+1: // a version that came between the look and the stop
		version = is.Version - 1
		newer, err := w.Cluster.Definition(ctx, job.Job, &version)
		if err != nil {
			return errors.Join(fmt.Errorf("%s was changed to version %d meanwhile and is stopped; that version cannot be read (%w), so it is not registered again: bring it back with: start %s", job.ID, version, err, job.ID), w.DeleteDefinition())
		}
		if err := w.SaveDefinition(newer, version); err != nil { // no reason to leave the job stopped
			w.Note("version %d of %s cannot be kept: %v", version, job.ID, err)
		}
		w.Note("%s was changed meanwhile: what is registered again is version %d", job.ID, version)
		definition = newer
	}
	w.Note("stopped %s as it was in version %d", job.ID, version)
	r.waitForStop(ctx, w, job.Job, is.ModifyIndex)
	again, err := registerAgain(ctx, w, job.Job, definition, is.ModifyIndex, true)
	if err != nil {
		return recoveryError(w, job, definition, err)
	}
	if err := w.DeleteDefinition(); err != nil {
		w.Note("the kept definition of %s cannot be removed from %s: %v", job.ID, w.DefinitionPath(), err)
	}
	if err := relinkRelease(ctx, w.Cluster, w.SavedDefinitions(), job.Job, definition); err != nil {
		w.Note("%v", err)
	}
	w.Note("registered %s again", job.ID)
	waiting, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not everything runs after %s; Nomad is still working on it", r.timeout))
	defer cancel()
	waiting, halt := cancelOnHalt(waiting, w)
	defer halt()
	if err := waitForRollout(waiting, w.Cluster, job.Job, "", again, w.Progress); err != nil {
		return fmt.Errorf("%s is registered again, but: %w", job.ID, err)
	}
	w.Note("restarted %s", job.ID)
	return nil
}

// checkUnchanged returns an error unless a definition is the one of the job as it was looked at: what is kept is what is stopped.
func checkUnchanged(job backends.JobDetail, definition json.RawMessage) error {
	is, err := identify(definition)
	if err != nil {
		return fmt.Errorf("%s: %w", job.ID, err)
	}
	if is.Stop || is.JobModifyIndex != job.ModifyIndex {
		return &backends.ChangedError{Job: job.ID, Version: is.Version}
	}
	return nil
}

// errStopUnknown is a stop of which it cannot be found out whether Nomad has taken it.
var errStopUnknown = errors.New("it cannot be found out whether it is stopped")

// confirmStopped returns the job as it is after it was told to stop, or why that was not done. Whatever the order has come to,
// the job itself is looked at until it tells.
func confirmStopped(ctx context.Context, w router.Work, job backends.JobDetail, failed error) (is backends.JobDetail, err error) {
	begin := time.Now()
	until := begin.Add(recoveryTimeout)
	uncertain := errors.Is(failed, backends.ErrOutcomeUnknown)
	for {
		is, err = w.Cluster.Job(ctx, job.Job)
		switch {
		case err == nil && is.Stopped && failed != nil && !uncertain: // by somebody else: this order was not taken
			return is, failed
		case err == nil && is.Stopped:
			return is, nil
		case err == nil && is.ModifyIndex > job.ModifyIndex && failed == nil:
			return is, fmt.Errorf("%s was stopped by this restart, and somebody else has brought it back already, as version %d (see: history %s)", job.ID, is.Version, job.ID)
		case err == nil && is.ModifyIndex > job.ModifyIndex:
			return is, &backends.ChangedError{Job: job.ID, Version: is.Version}
		case errors.Is(err, backends.ErrNotFound) && (failed == nil || uncertain): // stopped, and collected already
			is.Version = job.Version + 1
			return is, nil
		case errors.Is(err, backends.ErrNotFound):
			return is, err
		case err == nil && failed != nil && (!uncertain || time.Since(begin) > lateRequestGrace):
			return is, fmt.Errorf("%s is not stopped: %w", job.ID, failed)
		case time.Now().After(until):
			return is, fmt.Errorf("%w: %w", errStopUnknown, errors.Join(failed, err))
		}
		w.Progress("looking whether %s is stopped", job.ID)
		if err := sleep(ctx, recoveryInterval); err != nil {
			return is, fmt.Errorf("%w: %w", errStopUnknown, err)
		}
	}
}

// waitForStop waits until nothing of a stopped job runs any more, or somebody wants the work to end: then there is no time for it.
func (r *restart) waitForStop(ctx context.Context, w router.Work, job backends.Job, index uint64) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, errWaitTimeout)
	defer cancel()
	ctx, halt := cancelOnHalt(ctx, w)
	defer halt()
	if err := waitUntilStopped(ctx, w.Cluster, job, "", backends.WriteResult{ModifyIndex: index}, w.Progress); err != nil {
		w.Note("not all of it has stopped (%v); it is registered all the same", err)
	}
}

// registerAgain registers a definition until Nomad takes it or says that the job is not any more as it was at index. Nomad
// may delete a job that was stopped.
func registerAgain(ctx context.Context, w router.Work, job backends.Job, definition json.RawMessage, index uint64, wasStopped bool) (backends.WriteResult, error) {
	until := time.Now().Add(recoveryTimeout)
	for {
		outcome, err := w.Operations.Register(ctx, job, definition, index)
		var changed *backends.ChangedError
		switch {
		case err == nil, time.Now().After(until):
			return outcome, err
		case errors.As(err, &changed), errors.Is(err, backends.ErrNotFound) && !wasStopped:
			return outcome, err
		case errors.Is(err, backends.ErrNotFound): // Nomad collects what is stopped
			index = 0
		}
		w.Progress("%v; trying again", err)
		if err := sleep(ctx, recoveryInterval); err != nil {
			return outcome, err
		}
	}
}

// recoveryError returns what to do about a job that could not be registered again, and prints its definition, unless the job
// itself, and not another one of its name, is not stopped.
func recoveryError(w router.Work, job backends.JobDetail, definition json.RawMessage, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), pollInterval*10)
	defer cancel()
	text, lookErr := w.Cluster.Definition(ctx, job.Job, nil)
	var is, was identity
	if lookErr == nil {
		is, lookErr = identify(text)
		was, _ = identify(definition)
	}
	if lookErr == nil && !is.Stop && is.CreateIndex == was.CreateIndex {
		return errors.Join(fmt.Errorf("%s is not stopped, it is at version %d now, but who made it that is not known (see: history %s): %w", job.ID, is.Version, job.ID, err), w.DeleteDefinition())
	}
	w.Note("the definition of %s, which is kept in %s:", job.ID, w.DefinitionPath())
	// As JSON that a terminal can show too: it may be the only copy.
	if safe, err := escape.JSON(definition, ""); err == nil {
		definition = safe
	}
	w.Note("%s", definition)
	if lookErr == nil && !is.Stop {
		return fmt.Errorf("%s was stopped, and there is another job of its name now, which runs: %w; what was stopped is kept until: ops %s --forget", job.ID, err, w.ID)
	}
	return fmt.Errorf("%s may be stopped now, and could not be registered again: %w; bring it back with: ops %s --restore", job.ID, err, w.ID)
}
