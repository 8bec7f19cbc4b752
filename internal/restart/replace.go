package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// failedAllocations returns the selected allocations of a job that have failed or, in a system job, were stopped, and
// were not replaced. Nomad replaces those in failed at the next evaluation. The reschedule blocks of those in
// unreschedulable allow no attempts.
func failedAllocations(
	job backends.JobDetail, isSelected func(backends.Allocation) bool,
) (failed, unreschedulable []backends.Allocation) {
	groups := map[string]backends.Group{}
	for _, g := range job.Groups {
		groups[g.Name] = g
	}
	for _, a := range job.Allocations {
		group, ok := groups[a.Group]
		system := job.Type == "system"
		isFailed := a.Status == "failed" && (a.Desired == "run" || system)
		isStopped := a.Status == "complete" && a.Desired != "run" && system
		switch {
		case !ok || !isFailed && !isStopped || !isSelected(a) || !isNewest(job, a):
		case system || group.CanReschedule:
			failed = append(failed, a)
		default:
			unreschedulable = append(unreschedulable, a)
		}
	}
	return failed, unreschedulable
}

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
	return fmt.Errorf("%s of %s cannot be replaced: the reschedule block of %s allows no attempts, and changing it "+
		"makes Nomad also rerun the allocations of a %s job that are complete (rerun all: restart --full %s; "+
		"restart a running allocation: restart ID)",
		failedOrStoppedText(unreschedulable), job.ID, groupsText(groups), job.Type, job.ID)
}

// replaceFailed makes Nomad replace the failed allocations and waits until their replacements are running.
func (r *rollingRestart) replaceFailed(ctx context.Context, w ops.Operation) error {
	replaced := append(slices.Clone(r.failed), r.unreschedulable...)
	if len(replaced) == 0 {
		return nil
	}
	w.Note("replacing %s of %s: %s", failedOrStoppedText(replaced), r.job.ID, allocationLabels(replaced))
	if others := r.alsoReplaced(replaced); len(others) > 0 {
		w.Note("Nomad replaces all failed or stopped allocations at once, also: %s", allocationLabels(others))
	}
	if err := w.HaltReason(); err != nil {
		return err
	}
	var replacements []backends.Allocation
	replace := func(job backends.JobDetail) error {
		result, err := w.Writer.Evaluate(ctx, job.Job)
		if err != nil {
			return jobError(job.Job, err)
		}
		ctx, cancel := context.WithTimeoutCause(ctx, r.timeout,
			fmt.Errorf("not replaced within %s; Nomad is still working on it (see: status %s)", r.timeout, job.ID))
		defer cancel()
		ctx, stop := cancelOnHalt(ctx, w)
		defer stop()
		replacements, err = waitUntilReplaced(ctx, w.Cluster, job, replaced, result, w.Progress)
		return err
	}
	var err error
	if len(r.unreschedulable) > 0 {
		err = r.allowRescheduling(ctx, w, replace)
	} else {
		err = replace(r.job)
	}
	if err != nil {
		return fmt.Errorf("the restart of %s stopped before anything was restarted: %w", r.job.ID, err)
	}
	w.Note("replaced %s of %s: %s", failedOrStoppedText(replaced), r.job.ID, replacementsText(replaced, replacements))
	return nil
}

// alsoReplaced returns the other allocations that Nomad replaces at the same time.
func (r *rollingRestart) alsoReplaced(replaced []backends.Allocation) []backends.Allocation {
	contains := func(all []backends.Allocation, a backends.Allocation) bool {
		return slices.ContainsFunc(all, func(b backends.Allocation) bool { return a.ID == b.ID })
	}
	failed, unreschedulable := failedAllocations(r.job, func(backends.Allocation) bool { return true })
	return slices.DeleteFunc(append(failed, unreschedulable...), func(a backends.Allocation) bool {
		isAllowed := slices.ContainsFunc(r.unreschedulable, func(b backends.Allocation) bool { return a.Group == b.Group })
		return contains(replaced, a) || contains(unreschedulable, a) && !isAllowed
	})
}

// allowRescheduling registers the job with one attempt to reschedule in the groups of the unreschedulable
// allocations, calls replace, and registers the original definition again, even if replace failed. Nomad updates the
// running allocations in place, because both versions run the same. The original definition is on disk for ops
// --restore from before the first registration until after the second one.
func (r *rollingRestart) allowRescheduling(ctx context.Context, w ops.Operation,
	replace func(backends.JobDetail) error,
) error {
	definition, err := w.Cluster.Definition(ctx, r.job.Job, nil)
	if err != nil {
		return jobError(r.job.Job, err)
	}
	if err := checkUnchanged(r.job, definition); err != nil {
		return err
	}
	groups := map[string]bool{}
	for _, a := range r.unreschedulable {
		groups[a.Group] = true
	}
	changed, err := backends.WithRescheduling(definition, groups)
	if err != nil {
		return fmt.Errorf("%s: %w", r.job.ID, err)
	}
	switch err := w.SaveDefinition(definition, r.job.Version); {
	case errors.Is(err, ops.ErrNoFolder):
		return fmt.Errorf("%w, so replacing these allocations is refused; ask the gateway's operator to set audit.jobs", err)
	case err != nil:
		return fmt.Errorf("%s was not registered with one attempt to reschedule, because its definition cannot be saved: %w",
			r.job.ID, err)
	}
	first, err := w.Writer.Register(ctx, r.job.Job, changed, r.job.ModifyIndex)
	if errors.Is(err, backends.ErrOutcomeUnknown) {
		first.ModifyIndex, err = r.findRegistered(ctx, w, definition, err)
	}
	switch {
	case errors.Is(err, errRegisterUnknown):
		return fmt.Errorf("%s may be registered with one attempt to reschedule in %s: %w (see: history %s; restore it: %s)",
			r.job.ID, groupsText(groups), err, r.job.ID, restoreCommand(w.ID))
	case err != nil:
		return errors.Join(jobError(r.job.Job, err), w.DeleteDefinition())
	}
	w.Note("registered %s with one attempt to reschedule in %s", r.job.ID, groupsText(groups))
	job := r.job
	job.ModifyIndex = first.ModifyIndex
	replaceErr := replace(job)
	if errors.Is(replaceErr, backends.ErrNotFound) { // somebody purged the job: there is nothing to restore
		return errors.Join(replaceErr, w.DeleteDefinition())
	}
	restored, err := registerAgain(ctx, w, r.job.Job, definition, first.ModifyIndex, false)
	var changedErr *backends.ChangedError
	switch {
	case errors.Is(err, backends.ErrNotFound): // somebody purged the job
		return errors.Join(replaceErr, jobError(r.job.Job, err), w.DeleteDefinition())
	case errors.As(err, &changedErr): // Nomad still has the original version
		return errors.Join(replaceErr, fmt.Errorf("%s was registered with one attempt to reschedule in %s, "+
			"and could not be restored: %w (see: history %s; restore it: revert %s %d)",
			r.job.ID, groupsText(groups), err, r.job.ID, r.job.ID, r.job.Version), w.DeleteDefinition())
	case err != nil:
		return errors.Join(replaceErr, fmt.Errorf("%s is registered with one attempt to reschedule in %s, "+
			"and could not be restored: %w (see: history %s; restore it: %s)",
			r.job.ID, groupsText(groups), err, r.job.ID, restoreCommand(w.ID)))
	}
	if err := w.DeleteDefinition(); err != nil {
		w.Note("the saved definition of %s cannot be removed from %s: %v", r.job.ID, w.DefinitionPath(), err)
	}
	w.Note("restored the definition of %s", r.job.ID)
	if replaceErr != nil {
		return replaceErr
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout,
		fmt.Errorf("timed out after %s; Nomad is still working on it", r.timeout))
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, w)
	defer stop()
	if err := waitForRollout(ctx, w.Cluster, r.job.Job, "", restored, w.Progress); err != nil {
		return fmt.Errorf("the definition of %s was restored, but the job is not confirmed running: %w", r.job.ID, err)
	}
	return pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(now backends.JobDetail) (bool, error) {
		r.job = now
		return true, nil
	})
}

// errRegisterUnknown is returned if the outcome of a registration cannot be determined.
var errRegisterUnknown = errors.New("cannot tell whether Nomad applied the registration")

// findRegistered polls the job after a registration whose response was lost, until it knows the outcome. registerErr
// is the error of that registration. It returns the JobModifyIndex of the job with one attempt to reschedule, or an
// error if that job is not registered, or errRegisterUnknown.
func (r *rollingRestart) findRegistered(
	ctx context.Context, w ops.Operation, original json.RawMessage, registerErr error,
) (uint64, error) {
	start := time.Now()
	for {
		text, err := w.Cluster.Definition(ctx, r.job.Job, nil)
		var now identity
		if err == nil {
			now, err = identify(text)
		}
		switch {
		case errors.Is(err, backends.ErrNotFound):
			return 0, err
		case err == nil && !now.Stop && now.Version == r.job.Version+1 && backends.IsRescheduleVariant(text, original):
			return now.JobModifyIndex, nil
		case err == nil && now.JobModifyIndex > r.job.ModifyIndex:
			return 0, &backends.ChangedError{Job: r.job.ID, Version: now.Version}
		case err == nil && time.Since(start) > lateRequestGrace:
			return 0, fmt.Errorf("%s was not registered with one attempt to reschedule: %w", r.job.ID, registerErr)
		case time.Since(start) > recoveryTimeout:
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, errors.Join(registerErr, err))
		}
		w.Progress("checking whether %s is registered", r.job.ID)
		if err := sleep(ctx, recoveryInterval); err != nil {
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, err)
		}
	}
}

// missingAllocations returns how many allocations of a group, or of all groups for "", are missing although Nomad is
// idle, by group. This happens if Nomad has deleted a failed allocation that it did not replace, and has not evaluated
// the job since.
func missingAllocations(job backends.JobDetail, group string) map[string]int {
	if job.Type != "service" && job.Type != "batch" || !isIdle(job) {
		return nil
	}
	missing := map[string]int{}
	for _, g := range job.Groups {
		n := g.Count
		for _, a := range job.Allocations {
			done := job.Type == "batch" && a.Status == "complete" && a.Version == job.Version
			if a.Group == g.Name && (a.Desired == "run" && a.Status != "lost" && isNewest(job, a) || done) {
				n--
			}
		}
		if n > 0 && (group == "" || g.Name == group) {
			missing[g.Name] = n
		}
	}
	return missing
}

// placeMissing makes Nomad place the missing allocations and waits until they are running.
func (r *rollingRestart) placeMissing(ctx context.Context, w ops.Operation) error {
	if len(r.missing) == 0 {
		return nil
	}
	total := 0
	for _, n := range r.missing {
		total += n
	}
	w.Note("placing %s of %s", plural(total, "missing allocation"), r.job.ID)
	result, err := w.Writer.Evaluate(ctx, r.job.Job)
	if err != nil {
		return jobError(r.job.Job, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout,
		fmt.Errorf("not placed within %s; Nomad is still working on it (see: status %s)", r.timeout, r.job.ID))
	defer cancel()
	ctx, stop := cancelOnHalt(ctx, w)
	defer stop()
	var idle time.Time // since when Nomad has evaluated the job without placing anything
	err = pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(now backends.JobDetail) (bool, error) {
		want, have, _ := allocationCounts(now)
		switch {
		case now.ModifyIndex != r.job.ModifyIndex:
			return true, changedError(now)
		case len(now.Unplaced) > 0:
			return true, fmt.Errorf("cannot be placed: %s", unplacedReasons(now.Unplaced))
		case len(missingAllocations(now, "")) == 0 && isIdle(now):
			return true, checkNoneFailed(now)
		case !isEvaluated(now, result.EvaluationID) || !isIdle(now):
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("Nomad evaluated %s but placed nothing: %d of %s running (see: info %s)",
				now.ID, have, plural(want, "allocation"), now.ID)
		}
		w.Progress("%d of %s running", have, plural(want, "allocation"))
		return false, nil
	})
	if err == nil {
		w.Note("placed %s of %s", plural(total, "missing allocation"), r.job.ID)
	}
	return err
}

// failedOrStoppedText returns the number of allocations in words, such as "2 failed allocations".
func failedOrStoppedText(allocations []backends.Allocation) string {
	state := "failed"
	if slices.ContainsFunc(allocations, func(a backends.Allocation) bool { return a.Status != "failed" }) {
		state = "stopped"
		if slices.ContainsFunc(allocations, func(a backends.Allocation) bool { return a.Status == "failed" }) {
			state = "failed or stopped"
		}
	}
	return plural(len(allocations), state+" allocation")
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

// allocationLabels lists allocations by index or node, and ID.
func allocationLabels(allocations []backends.Allocation) string {
	var all []string
	for _, a := range allocations {
		all = append(all, allocationLabel(a))
	}
	return strings.Join(all, ", ")
}
