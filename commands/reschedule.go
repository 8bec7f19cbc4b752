package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/router"
)

// failedOf returns the allocations of a job, of those that are named, that have failed or were stopped and that no other one
// has replaced: those that Nomad replaces when it is told to, and those that it does not.
func failedOf(job backends.JobDetail, named func(backends.Allocation) bool) (failed, skipped []backends.Allocation) {
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
			skipped = append(skipped, a)
		}
	}
	return failed, skipped
}

// reschedule lets Nomad replace the failed allocations and waits until the others run.
func (r *rolling) reschedule(ctx context.Context, w router.Work) error {
	if len(r.failed) == 0 {
		return nil
	}
	w.Note("replacing %s of %s: %s", endedText(r.failed), r.job.ID, places(r.failed))
	all, _ := failedOf(r.job, func(backends.Allocation) bool { return true })
	others := slices.DeleteFunc(all, func(a backends.Allocation) bool {
		return slices.ContainsFunc(r.failed, func(b backends.Allocation) bool { return a.ID == b.ID })
	})
	if len(others) > 0 {
		w.Note("Nomad replaces all failed or stopped ones at once, so also: %s", places(others))
	}
	if err := w.Halted(); err != nil {
		return err
	}
	order, err := w.Operations.Evaluate(ctx, r.job.Job)
	if err != nil {
		return ofJob(r.job.Job, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not replaced within %s; Nomad is still working on it (see: status %s)", r.timeout, r.job.ID))
	defer cancel()
	ctx, halt := untilHalted(ctx, w)
	defer halt()
	back, err := rescheduled(ctx, w.Cluster, r.job, r.failed, order, w.Progress)
	if err != nil {
		return fmt.Errorf("the restart of %s stopped before anything was restarted: %w", r.job.ID, err)
	}
	w.Note("replaced %s of %s: %s", endedText(r.failed), r.job.ID, replacements(r.failed, back))
	return nil
}

// endedText counts allocations that have failed or, of a system job, were stopped.
func endedText(ended []backends.Allocation) string {
	how := "failed"
	if slices.ContainsFunc(ended, func(a backends.Allocation) bool { return a.Status != "failed" }) {
		how = "stopped"
		if slices.ContainsFunc(ended, func(a backends.Allocation) bool { return a.Status == "failed" }) {
			how = "failed or stopped"
		}
	}
	return counted(len(ended), how+" allocation")
}

// skippedError is the error for failed allocations that Nomad does not replace; nil for none.
func skippedError(job backends.JobDetail, skipped []backends.Allocation) error {
	if len(skipped) == 0 {
		return nil
	}
	groups := map[string]bool{}
	for _, a := range skipped {
		groups[a.Group] = true
	}
	return fmt.Errorf("skipped %s of %s: %s; Nomad does not replace it, because the reschedule block of %s allows no attempt: use restart --full %s",
		counted(len(skipped), "failed allocation"), job.ID, places(skipped), groupsText(groups), job.ID)
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

// places lists allocations.
func places(allocations []backends.Allocation) string {
	var all []string
	for _, a := range allocations {
		all = append(all, placeOf(a))
	}
	return strings.Join(all, ", ")
}
