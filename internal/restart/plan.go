package restart

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
)

// Part is the part of a job to restart. The zero value is the whole job.
type Part struct {
	Group        string // empty: all groups
	Task         string // empty: all tasks
	AllocationID string // empty: all allocations
}

// Plan is what a rolling restart of a part of a job does, given the state of the job.
type Plan struct {
	Job     backends.JobDetail
	Targets []Target

	Failed          []backends.Allocation // failed or stopped; to replace first
	Unreschedulable []backends.Allocation // failed allocations whose reschedule block allows no attempts
	Missing         map[string]int        // missing allocations by group, which Nomad does not place by itself

	Skipped []backends.Allocation // pending, or on a disconnected node
}

// Target is an allocation to restart, or one of its tasks.
type Target struct {
	backends.Allocation
	task string // empty: all tasks
}

// NewPlan returns the plan for a part of a job.
func NewPlan(job backends.JobDetail, part Part) Plan {
	plan := Plan{Job: job, Targets: part.targets(job), Skipped: part.skipped(job)}
	plan.Failed, plan.Unreschedulable = monitor.FailedAllocations(job, part.selectsForReplacement)
	if part.AllocationID == "" && part.Task == "" {
		plan.Missing = monitor.MissingAllocations(job, part.Group)
	}
	return plan
}

// Check returns an error if the plan has nothing to do or cannot be carried out. selector is the argument of the user.
func (p Plan) Check(selector string) error {
	nothing := len(p.Targets)+len(p.Failed)+len(p.Unreschedulable)+len(p.Missing) == 0
	if nothing && len(p.Skipped) > 0 {
		return fmt.Errorf("%s has nothing to restart: %s (see: status %s)", selector, skippedText(p.Skipped), p.Job.ID)
	}
	if nothing {
		return fmt.Errorf("%s has no running allocations (see: status %s)", selector, p.Job.ID)
	}
	return checkReplaceable(p.Job, p.Unreschedulable)
}

// CheckRestartable returns an error for a job that cannot be restarted in its current state.
func CheckRestartable(job backends.JobDetail) error {
	switch {
	case job.Periodic, job.Parameterized:
		return fmt.Errorf("%s has no tasks of its own: restart one of its child jobs (see: ps %s)", job.ID, job.ID)
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	case job.LatestDeployment != nil && monitor.IsActive(*job.LatestDeployment):
		d := job.LatestDeployment
		return fmt.Errorf("%s is being deployed: deployment %s of version %d is %s; wait until it finishes, or fail it "+
			"(see: deployment %s; fail it: fail %s)",
			job.ID, phrase.ShortID(d.ID), d.Version, d.Status, job.ID, job.ID)
	}
	return nil
}

// contains reports whether an allocation belongs to the part.
func (p Part) contains(a backends.Allocation) bool {
	return (p.Group == "" || a.Group == p.Group) && (p.AllocationID == "" || a.ID == p.AllocationID)
}

// selectsForReplacement reports whether the restart replaces the allocation if it has failed or was stopped. A job or
// group selects only failed allocations, an ID also a stopped one.
func (p Part) selectsForReplacement(a backends.Allocation) bool {
	return p.contains(a) && (p.AllocationID != "" || a.Status == "failed")
}

// targets returns the running allocations of the part, and with a task only those in which it is running.
func (p Part) targets(job backends.JobDetail) (all []Target) {
	for _, a := range job.Allocations {
		isRunning := func(t backends.Task) bool { return t.Name == p.Task && a.Runs(t) }
		if a.Status != "running" || a.Desired != "run" || !p.contains(a) {
			continue
		}
		if p.Task == "" || slices.ContainsFunc(a.Tasks, isRunning) {
			all = append(all, Target{a, p.Task})
		}
	}
	return all
}

// skipped returns the allocations of the part that cannot be restarted in their current state.
func (p Part) skipped(job backends.JobDetail) (all []backends.Allocation) {
	for _, a := range job.Allocations {
		if (a.Status == "pending" || a.Status == "unknown") && a.Desired == "run" && p.contains(a) {
			all = append(all, a)
		}
	}
	return all
}

// skippedText lists skipped allocations with the reason.
func skippedText(skipped []backends.Allocation) string {
	var all []string
	for _, a := range skipped {
		state := "is pending"
		if a.Status == "unknown" {
			state = "is on a disconnected node and may still be running"
		}
		all = append(all, phrase.Allocation(a)+" "+state)
	}
	return strings.Join(all, ", ")
}
