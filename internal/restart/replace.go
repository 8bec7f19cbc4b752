package restart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
)

// checkReplaceable returns an error for unreschedulable allocations of a batch job. They can only be replaced by a new
// version of the job, and Nomad reruns the complete allocations of a batch job for a new version.
func checkReplaceable(job backends.JobDetail, unreschedulable []backends.Allocation) error {
	if len(unreschedulable) == 0 || job.Type != "batch" && job.Type != "sysbatch" {
		return nil
	}
	groups := map[string]bool{}
	for _, a := range unreschedulable {
		groups[a.Group] = true
	}
	return fmt.Errorf("%s of %s cannot be replaced: the reschedule block of %s allows no attempts, and "+
		"changing it would also rerun the completed allocations of this %s job (rerun all: restart --full %s; "+
		"restart a running allocation: restart ID)",
		phrase.FailedOrStopped(unreschedulable), job.ID, groupsText(groups), job.Type, job.ID)
}

// replaceFailed makes Nomad replace the failed allocations and waits until their replacements are running.
func (r *Rolling) replaceFailed(ctx context.Context, op ops.Operation) error {
	replaced := append(slices.Clone(r.Failed), r.Unreschedulable...)
	if len(replaced) == 0 {
		return nil
	}
	op.Note("replacing %s of %s: %s", phrase.FailedOrStopped(replaced), r.Job.ID, phrase.Allocations(replaced))
	if others := r.alsoReplaced(replaced); len(others) > 0 {
		op.Note("Nomad replaces all failed or stopped allocations at once; not selected, but also replaced: %s",
			phrase.Allocations(others))
	}
	if err := op.HaltReason(); err != nil {
		return err
	}
	var replacements []backends.Allocation
	replace := func(job backends.JobDetail) error {
		result, err := op.Writer.Evaluate(ctx, job.Job)
		if err != nil {
			return phrase.JobError(job.Job, err)
		}
		ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout,
			fmt.Errorf("the allocations were not replaced within %s; Nomad is still working on it (see: status %s)",
				r.Timeout, job.ID))
		defer cancel()
		ctx, stop := cancelOnHalt(ctx, op)
		defer stop()
		replacements, err = monitor.WaitUntilReplaced(ctx, op.Cluster, job, replaced, result, op.Progress)
		return err
	}
	var err error
	if len(r.Unreschedulable) > 0 {
		err = r.allowRescheduling(ctx, op, replace)
	} else {
		err = replace(r.Job)
	}
	if err != nil {
		return fmt.Errorf("the restart of %s stopped before anything was restarted: %w", r.Job.ID, err)
	}
	op.Note("replaced %s of %s: %s", phrase.FailedOrStopped(replaced), r.Job.ID, phrase.Replacements(replaced,
		replacements))
	return nil
}

// alsoReplaced returns the other allocations that Nomad replaces at the same time.
func (r *Rolling) alsoReplaced(replaced []backends.Allocation) []backends.Allocation {
	contains := func(all []backends.Allocation, a backends.Allocation) bool {
		return slices.ContainsFunc(all, func(b backends.Allocation) bool { return a.ID == b.ID })
	}
	failed, unreschedulable := monitor.FailedAllocations(r.Job, func(backends.Allocation) bool { return true })
	return slices.DeleteFunc(append(failed, unreschedulable...), func(a backends.Allocation) bool {
		isAllowed := slices.ContainsFunc(r.Unreschedulable, func(b backends.Allocation) bool { return a.Group == b.Group })
		return contains(replaced, a) || contains(unreschedulable, a) && !isAllowed
	})
}

// allowRescheduling registers the job with one reschedule attempt in the groups of the unreschedulable
// allocations, calls replace, and registers the original definition again, even if replace failed. Nomad updates the
// running allocations in place, because both versions run the same tasks. The original definition is on disk for ops
// --restore from before the first registration until after the second one.
func (r *Rolling) allowRescheduling(ctx context.Context, op ops.Operation,
	replace func(backends.JobDetail) error,
) error {
	definition, err := op.Cluster.Definition(ctx, r.Job.Job, nil)
	if err != nil {
		return phrase.JobError(r.Job.Job, err)
	}
	if err := jobrelease.CheckUnchanged(r.Job, definition); err != nil {
		return err
	}
	groups := map[string]bool{}
	for _, a := range r.Unreschedulable {
		groups[a.Group] = true
	}
	changed, err := backends.WithRescheduling(definition, groups)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Job.ID, err)
	}
	switch err := op.SaveDefinition(definition, r.Job.Version); {
	case errors.Is(err, ops.ErrNoFolder):
		return fmt.Errorf("%w, so replacing these allocations is refused; ask the gateway's operator to set audit.jobs", err)
	case err != nil:
		return fmt.Errorf("%s was not registered with one reschedule attempt, because its definition cannot be saved: %w",
			r.Job.ID, err)
	}
	first, err := op.Writer.Register(ctx, r.Job.Job, changed, r.Job.ModifyIndex)
	if errors.Is(err, backends.ErrOutcomeUnknown) {
		first.ModifyIndex, err = r.findRegistered(ctx, op, definition, err)
	}
	switch {
	case errors.Is(err, errRegisterUnknown):
		return fmt.Errorf("%s may be registered with one reschedule attempt in %s: %w (see: history %s; restore it: %s)",
			r.Job.ID, groupsText(groups), err, r.Job.ID, RestoreCommand(op.ID))
	case err != nil:
		return errors.Join(phrase.JobError(r.Job.Job, err), op.DeleteDefinition())
	}
	op.Note("registered %s with one reschedule attempt in %s", r.Job.ID, groupsText(groups))
	job := r.Job
	job.ModifyIndex = first.ModifyIndex
	replaceErr := replace(job)
	if errors.Is(replaceErr, backends.ErrNotFound) { // somebody purged the job: there is nothing to restore
		return errors.Join(replaceErr, op.DeleteDefinition())
	}
	restored, err := registerAgain(ctx, op, r.Job.Job, definition, first.ModifyIndex, false)
	var changedErr *backends.ChangedError
	switch {
	case errors.Is(err, backends.ErrNotFound): // somebody purged the job
		return errors.Join(replaceErr, phrase.JobError(r.Job.Job, err), op.DeleteDefinition())
	case errors.As(err, &changedErr): // Nomad still has the original version
		return errors.Join(replaceErr, fmt.Errorf("%s was registered with one reschedule attempt in %s, "+
			"and could not be restored: %w (see: history %s; restore it: revert %s %d)",
			r.Job.ID, groupsText(groups), err, r.Job.ID, r.Job.ID, r.Job.Version), op.DeleteDefinition())
	case err != nil:
		return errors.Join(replaceErr, fmt.Errorf("%s is registered with one reschedule attempt in %s, "+
			"and could not be restored: %w (see: history %s; restore it: %s)",
			r.Job.ID, groupsText(groups), err, r.Job.ID, RestoreCommand(op.ID)))
	}
	if err := op.DeleteDefinition(); err != nil {
		op.Note("the saved definition of %s cannot be removed from %s: %v", r.Job.ID, op.DefinitionPath(), err)
	}
	op.Note("restored the definition of %s", r.Job.ID)
	if replaceErr != nil {
		return replaceErr
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout,
		fmt.Errorf("timed out after %s; Nomad is still working on it", r.Timeout))
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, op)
	defer stop()
	if err := monitor.WaitForRollout(ctx, op.Cluster, r.Job.Job, "", restored, op.Progress); err != nil {
		return fmt.Errorf("the definition of %s was restored, but the job is not confirmed running: %w", r.Job.ID, err)
	}
	return monitor.Poll(ctx, op.Cluster, r.Job.Job, op.Progress, func(now backends.JobDetail) (string, bool, error) {
		r.Job = now
		return "", true, nil
	})
}

// errRegisterUnknown is returned if the outcome of a registration cannot be determined.
var errRegisterUnknown = errors.New("cannot tell whether Nomad applied the registration")

// findRegistered polls the job after a registration whose response was lost, until it knows the outcome. registerErr
// is the error of that registration. It returns the JobModifyIndex of the job with one reschedule attempt, or an
// error if that job is not registered, or errRegisterUnknown.
func (r *Rolling) findRegistered(
	ctx context.Context, op ops.Operation, original json.RawMessage, registerErr error,
) (uint64, error) {
	start := time.Now()
	for {
		text, err := op.Cluster.Definition(ctx, r.Job.Job, nil)
		var now jobrelease.Identity
		if err == nil {
			now, err = jobrelease.Identify(text)
		}
		switch {
		case errors.Is(err, backends.ErrNotFound):
			return 0, err
		case err == nil && !now.Stop && now.Version == r.Job.Version+1 && backends.IsRescheduleVariant(text, original):
			return now.JobModifyIndex, nil
		case err == nil && now.JobModifyIndex > r.Job.ModifyIndex:
			return 0, &backends.ChangedError{Job: r.Job.ID, Version: now.Version}
		case err == nil && time.Since(start) > lateRequestGrace:
			return 0, fmt.Errorf("%s was not registered with one reschedule attempt: %w", r.Job.ID, registerErr)
		case time.Since(start) > recoveryTimeout:
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, errors.Join(registerErr, err))
		}
		op.Progress("checking whether %s is registered", r.Job.ID)
		if err := monitor.Sleep(ctx, recoveryInterval); err != nil {
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, err)
		}
	}
}

// placeMissing makes Nomad place the missing allocations and waits until they are running.
func (r *Rolling) placeMissing(ctx context.Context, op ops.Operation) error {
	if len(r.Missing) == 0 {
		return nil
	}
	total := 0
	for _, n := range r.Missing {
		total += n
	}
	op.Note("placing %s of %s", phrase.Count(total, "missing allocation"), r.Job.ID)
	result, err := op.Writer.Evaluate(ctx, r.Job.Job)
	if err != nil {
		return phrase.JobError(r.Job.Job, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout,
		fmt.Errorf("the missing allocations were not placed within %s; Nomad is still working on it (see: status %s)",
			r.Timeout, r.Job.ID))
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, op)
	defer stop()
	err = monitor.WaitUntilPlaced(ctx, op.Cluster, r.Job, result, op.Progress)
	if err == nil {
		op.Note("placed %s of %s", phrase.Count(total, "missing allocation"), r.Job.ID)
	}
	return err
}

func groupsText(groups map[string]bool) string {
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 1 {
		return "group " + names[0]
	}
	return "groups " + strings.Join(names, ", ")
}
