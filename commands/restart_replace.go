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
	"nomadctld/router"
)

// failedAllocations returns the allocations of a job, of those that are named, that have failed or were stopped and that no other one
// has replaced: those that Nomad replaces when it is told to, and those of groups in which it may replace none.
func failedAllocations(job backends.JobDetail, named func(backends.Allocation) bool) (failed, given []backends.Allocation) {
	groups := map[string]backends.Group{}
	for _, g := range job.Groups {
		groups[g.Name] = g
	}
	for _, a := range job.Allocations {
		group, ok := groups[a.Group]
		system := job.Type == "system"
		ended := a.Status == "failed" && (a.Desired == "run" || system) || a.Status == "complete" && a.Desired != "run" && system
		switch {
		case !ok || !ended || !named(a) || !isNewest(job, a):
		case system || group.Reschedules:
			failed = append(failed, a)
		default:
			given = append(given, a)
		}
	}
	return failed, given
}

// checkReplaceable returns an error for failed allocations that Nomad may not replace if their job is a batch job. Nomad runs the
// allocations of a batch job that are complete again when it has a new version.
func checkReplaceable(job backends.JobDetail, given []backends.Allocation) error {
	if len(given) == 0 || job.Type != "batch" && job.Type != "sysbatch" {
		return nil
	}
	groups := map[string]bool{}
	for _, a := range given {
		groups[a.Group] = true
	}
	return fmt.Errorf("%s of %s cannot be replaced: the reschedule block of %s allows no attempt, and if a %s job is registered with one, Nomad runs its complete allocations again (run all of it again: restart --full %s; restart a running allocation: restart ID)",
		failedOrStopped(given), job.ID, groupsText(groups), job.Type, job.ID)
}

// replaceFailed lets Nomad replace the failed allocations and waits until the others run.
func (r *rolling) replaceFailed(ctx context.Context, w router.Work) error {
	ended := append(slices.Clone(r.failed), r.unreschedulable...)
	if len(ended) == 0 {
		return nil
	}
	w.Note("replacing %s of %s: %s", failedOrStopped(ended), r.job.ID, allocationLabels(ended))
	failed, given := failedAllocations(r.job, func(backends.Allocation) bool { return true })
	others := slices.DeleteFunc(append(failed, given...), func(a backends.Allocation) bool {
		return slices.ContainsFunc(ended, func(b backends.Allocation) bool { return a.ID == b.ID }) ||
			slices.ContainsFunc(given, func(b backends.Allocation) bool { return a.ID == b.ID }) && !slices.ContainsFunc(r.unreschedulable, func(b backends.Allocation) bool { return a.Group == b.Group })
	})
	if len(others) > 0 {
		w.Note("Nomad replaces all failed or stopped ones at once, so also: %s", allocationLabels(others))
	}
	if err := w.HaltReason(); err != nil {
		return err
	}
	var back []backends.Allocation
	replace := func(job backends.JobDetail) error {
		order, err := w.Operations.Evaluate(ctx, job.Job)
		if err != nil {
			return jobError(job.Job, err)
		}
		ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not replaced within %s; Nomad is still working on it (see: status %s)", r.timeout, job.ID))
		defer cancel()
		ctx, halt := cancelOnHalt(ctx, w)
		defer halt()
		back, err = waitUntilReplaced(ctx, w.Cluster, job, ended, order, w.Progress)
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
	w.Note("replaced %s of %s: %s", failedOrStopped(ended), r.job.ID, replacementsText(ended, back))
	return nil
}

// allowRescheduling registers the job so that Nomad may replace failed allocations, calls replace, and registers the job again as it
// was, whatever has come of it. Nomad changes the running allocations in place: both versions run the same. From before the
// first registration until after the second one, the original definition is on disk, for ops --restore.
func (r *rolling) allowRescheduling(ctx context.Context, w router.Work, replace func(backends.JobDetail) error) error {
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
	allowing, err := backends.WithRescheduling(definition, groups)
	if err != nil {
		return fmt.Errorf("%s: %w", r.job.ID, err)
	}
	switch err := w.SaveDefinition(definition, r.job.Version); {
	case errors.Is(err, ops.ErrNoFolder):
		return fmt.Errorf("%w, so registering it with one attempt to reschedule is not safe: the gateway's operator has to set audit.jobs", err)
	case err != nil:
		return fmt.Errorf("the definition of %s cannot be saved, so it is not registered with one attempt to reschedule: %w", r.job.ID, err)
	}
	first, err := w.Operations.Register(ctx, r.job.Job, allowing, r.job.ModifyIndex)
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
	replaced := replace(job)
	if errors.Is(replaced, backends.ErrNotFound) { // purged by somebody else: nothing to restore
		return errors.Join(replaced, w.DeleteDefinition())
	}
	again, err := registerAgain(ctx, w, r.job.Job, definition, first.ModifyIndex, false)
	var changed *backends.ChangedError
	switch {
	case errors.Is(err, backends.ErrNotFound): // likewise
		return errors.Join(replaced, jobError(r.job.Job, err), w.DeleteDefinition())
	case errors.As(err, &changed): // Nomad has the original among its versions
		return errors.Join(replaced, fmt.Errorf("%s was registered with one attempt to reschedule in %s, and could not be registered as it was: %w (see: history %s; go back: revert %s %d)",
			r.job.ID, groupsText(groups), err, r.job.ID, r.job.ID, r.job.Version), w.DeleteDefinition())
	case err != nil:
		return errors.Join(replaced, fmt.Errorf("%s is registered with one attempt to reschedule in %s, and could not be registered as it was: %w (see: history %s; restore it: %s)",
			r.job.ID, groupsText(groups), err, r.job.ID, restoreCommand(w.ID)))
	}
	if err := w.DeleteDefinition(); err != nil {
		w.Note("the saved definition of %s cannot be removed from %s: %v", r.job.ID, w.DefinitionPath(), err)
	}
	w.Note("registered %s as it was", r.job.ID)
	if replaced != nil {
		return replaced
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not everything runs after %s; Nomad is still working on it", r.timeout))
	defer cancel()
	ctx, halt := cancelOnHalt(ctx, w)
	defer halt()
	if err := waitForRollout(ctx, w.Cluster, r.job.Job, "", again, w.Progress); err != nil {
		return fmt.Errorf("%s is registered as it was, but: %w", r.job.ID, err)
	}
	return pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(now backends.JobDetail) (bool, error) {
		r.job = now
		return true, nil
	})
}

// errRegisterUnknown is a registration that may or may not have been applied.
var errRegisterUnknown = errors.New("Nomad does not report whether it is")

// findRegistered returns the index of the job with one attempt to reschedule, whose registration may or may not have been applied,
// or why it is not registered. The error is an errRegisterUnknown if that cannot be found out.
func (r *rolling) findRegistered(ctx context.Context, w router.Work, original json.RawMessage, uncertain error) (uint64, error) {
	begin := time.Now()
	for {
		text, err := w.Cluster.Definition(ctx, r.job.Job, nil)
		var is identity
		if err == nil {
			is, err = identify(text)
		}
		switch {
		case errors.Is(err, backends.ErrNotFound):
			return 0, err
		case err == nil && !is.Stop && is.Version == r.job.Version+1 && backends.HasRescheduling(text, original):
			return is.JobModifyIndex, nil
		case err == nil && is.JobModifyIndex > r.job.ModifyIndex:
			return 0, &backends.ChangedError{Job: r.job.ID, Version: is.Version}
		case err == nil && time.Since(begin) > lateRequestGrace:
			return 0, fmt.Errorf("%s was not registered with one attempt to reschedule: %w", r.job.ID, uncertain)
		case time.Since(begin) > recoveryTimeout:
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, errors.Join(uncertain, err))
		}
		w.Progress("checking whether %s is registered", r.job.ID)
		if err := sleep(ctx, recoveryInterval); err != nil {
			return 0, fmt.Errorf("%w: %w", errRegisterUnknown, err)
		}
	}
}

// missingAllocations returns how many allocations of a group, or of all for "", are missing although nothing is about to happen: Nomad
// has deleted a failed allocation that it had given up, and has not looked at the job since.
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

// placeMissing lets Nomad place the allocations that are missing, and waits until they run.
func (r *rolling) placeMissing(ctx context.Context, w router.Work) error {
	if len(r.missing) == 0 {
		return nil
	}
	total := 0
	for _, n := range r.missing {
		total += n
	}
	w.Note("placing %s of %s", plural(total, "missing allocation"), r.job.ID)
	order, err := w.Operations.Evaluate(ctx, r.job.Job)
	if err != nil {
		return jobError(r.job.Job, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not placed within %s; Nomad is still working on it (see: status %s)", r.timeout, r.job.ID))
	defer cancel()
	ctx, halt := cancelOnHalt(ctx, w)
	defer halt()
	var idle time.Time // since when Nomad has decided, and nothing has come of it
	err = pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(now backends.JobDetail) (bool, error) {
		want, have, _ := allocationCounts(now)
		switch {
		case now.ModifyIndex != r.job.ModifyIndex:
			return true, &backends.ChangedError{Job: now.ID, Version: now.Version}
		case len(now.Unplaced) > 0:
			return true, fmt.Errorf("cannot be placed: %s", unplacedReasons(now.Unplaced))
		case len(missingAllocations(now, "")) == 0 && isIdle(now):
			return true, checkNoneFailed(now)
		case !isEvaluated(now, order.EvaluationID) || !isIdle(now):
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("Nomad has evaluated %s and placed nothing: %d of %s running (see: info %s)", now.ID, have, plural(want, "allocation"), now.ID)
		}
		w.Progress("%d of %s running", have, plural(want, "allocation"))
		return false, nil
	})
	if err == nil {
		w.Note("placed %s of %s", plural(total, "missing allocation"), r.job.ID)
	}
	return err
}

// failedOrStopped counts allocations that have failed or, of a system job, were stopped.
func failedOrStopped(ended []backends.Allocation) string {
	how := "failed"
	if slices.ContainsFunc(ended, func(a backends.Allocation) bool { return a.Status != "failed" }) {
		how = "stopped"
		if slices.ContainsFunc(ended, func(a backends.Allocation) bool { return a.Status == "failed" }) {
			how = "failed or stopped"
		}
	}
	return plural(len(ended), how+" allocation")
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

// allocationLabels lists allocations.
func allocationLabels(allocations []backends.Allocation) string {
	var all []string
	for _, a := range allocations {
		all = append(all, allocationLabel(a))
	}
	return strings.Join(all, ", ")
}
