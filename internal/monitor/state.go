package monitor

import (
	"slices"

	"nomadctld/backends"
)

// ActiveAllocations returns the running and pending allocations of a group, or of the whole job for "".
func ActiveAllocations(job backends.JobDetail, group string) []backends.Allocation {
	return slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		return a.Status != "running" && a.Status != "pending" || group != "" && a.Group != group
	})
}

// IsNewest reports whether no other allocation has replaced this one.
func IsNewest(job backends.JobDetail, a backends.Allocation) bool {
	for _, b := range job.Allocations {
		if b.ID != a.ID && b.SameInstance(a) && b.Group == a.Group && b.Created.After(a.Created) {
			return false
		}
	}
	return a.Next == ""
}

// FailedAllocations returns the selected allocations of a job that have failed or, in a system job, were stopped, and
// were not replaced. Nomad replaces those in failed at the next evaluation. The reschedule blocks of those in
// unreschedulable allow no attempts.
func FailedAllocations(
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
		case !ok || !isFailed && !isStopped || !isSelected(a) || !IsNewest(job, a):
		case system || group.Reschedule.CanReschedule():
			failed = append(failed, a)
		default:
			unreschedulable = append(unreschedulable, a)
		}
	}
	return failed, unreschedulable
}

// isIdle reports whether Nomad and its client agents have nothing left to do for a job.
func isIdle(job backends.JobDetail) bool {
	if len(job.Unplaced) > 0 {
		return false
	}
	poststop := poststopTasks(job)
	isOpen := func(e backends.Evaluation) bool { return e.Status == "pending" || e.Status == "blocked" }
	isChanging := func(a backends.Allocation) bool {
		return a.Status == "pending" || a.Status == "unknown" || a.ReschedulePending && a.Next == "" ||
			a.Status == "running" && (a.Desired != "run" || !isStarted(a, poststop))
	}
	return !slices.ContainsFunc(job.Evaluations, isOpen) && !slices.ContainsFunc(job.Allocations, isChanging)
}

// isEvaluated reports whether an evaluation is not pending. An unknown evaluation was processed and deleted.
func isEvaluated(job backends.JobDetail, id string) bool {
	return !slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool {
		return e.ID == id && e.Status == "pending"
	})
}

// allocationCounts returns numbers of allocations: those that the job's groups want, those that run the current
// version, and those that are still running although Nomad is stopping them. Complete allocations of a batch job count
// as running. For a system job, Nomad decides the number of allocations.
func allocationCounts(job backends.JobDetail) (want, have, surplus int) {
	if job.Stopped || job.Periodic || job.Parameterized {
		return 0, 0, len(ActiveAllocations(job, ""))
	}
	batch := job.Type == "batch" || job.Type == "sysbatch"
	poststop := poststopTasks(job)
	for _, g := range job.Groups {
		want += g.Count
	}
	placed := 0
	for _, a := range job.Allocations {
		current := a.Version == job.Version
		if current && a.Desired == "run" {
			placed++
		}
		switch {
		case current && a.Status == "running" && a.Desired == "run" && isStarted(a, poststop),
			current && batch && a.Status == "complete":
			have++
		case a.Status == "running" && a.Desired != "run":
			surplus++
		}
	}
	if job.Type == "system" || job.Type == "sysbatch" {
		want = max(placed, min(1, want))
	}
	return want, have, surplus
}

// poststopTasks returns the poststop tasks of a job, by group and task. They stay pending until the other tasks have
// exited.
func poststopTasks(job backends.JobDetail) map[string]bool {
	poststop := map[string]bool{}
	for _, g := range job.Groups {
		for _, task := range g.Tasks {
			if task.Hook == "poststop" {
				poststop[g.Name+"\x00"+task.Name] = true
			}
		}
	}
	return poststop
}

// isStarted reports whether all tasks of an allocation except its poststop tasks have started.
func isStarted(a backends.Allocation, poststop map[string]bool) bool {
	return !slices.ContainsFunc(a.Tasks, func(t backends.Task) bool {
		return t.State == "pending" && !poststop[a.Group+"\x00"+t.Name]
	})
}
