package backends

import "time"

// The words for the state of an allocation, or of a task, that are not only Nomad's.
const (
	StateRunning = "running"
	StateDead    = "dead"
	StateUnknown = "unknown" // its node is disconnected: it may still be running
)

// Terminal reports whether Nomad counts the allocation as ended: complete, failed or lost. One on a disconnected node, which
// is unknown, is not: it may still be running.
func (a Allocation) Terminal() bool {
	switch a.Status {
	case "complete", "failed", "lost":
		return true
	}
	return false
}

// HiddenByDefault reports whether the allocation is listed only on request: it has ended, and nothing went wrong in it.
func (a Allocation) HiddenByDefault() bool { return a.Terminal() && a.Status != "failed" }

// TaskState returns the state of a task of the allocation: pending, running, dead or unknown. Every decision about whether a
// task runs is made with it, because the state that Nomad stores is the last one that the client agent reported: it stays
// running for ever when the agent is lost.
func (a Allocation) TaskState(t Task) string {
	switch {
	case a.Status == "lost", a.Status == "complete":
		return StateDead
	case a.Status == "unknown" && t.State != StateDead:
		return StateUnknown
	}
	return t.State
}

// Runs reports whether a task of the allocation runs, as far as Nomad knows.
func (a Allocation) Runs(t Task) bool { return a.TaskState(t) == StateRunning }

// MayRun reports whether a task of the allocation runs, or may still be running on a disconnected node.
func (a Allocation) MayRun(t Task) bool {
	state := a.TaskState(t)
	return state == StateRunning || state == StateUnknown
}

// Stopping reports whether Nomad has told the allocation to end and it has not yet.
func (a Allocation) Stopping() bool { return !a.Terminal() && a.Desired != "" && a.Desired != "run" }

// TaskFinishedAt returns when a task that has ended did: when its client agent reported it, or, of one that was lost, when Nomad gave
// the allocation up. It is zero for one that has not ended.
func (a Allocation) TaskFinishedAt(t Task) time.Time {
	switch {
	case a.TaskState(t) != StateDead:
		return time.Time{}
	case t.State == StateDead && !t.Finished.IsZero():
		return t.Finished
	}
	return a.Modified
}

// How well a task fits a name that others have too: that of its job, group or task. Less is better.
const (
	rankRunning  = iota // it runs
	rankStopping        // it runs, and is being stopped
	rankUnknown         // it may still be running on a disconnected node
	rankNone            // it does not run: nothing names it but its own ID
)

// Rank returns how well the task fits a name that others have too, less being better, and whether it does so at all: a task
// that does not run is named by its own ID alone.
func (a Allocation) Rank(t Task) (rank int, named bool) {
	rank = rankNone
	switch {
	case a.Terminal():
	case a.TaskState(t) == StateUnknown:
		rank = rankUnknown
	case a.Runs(t) && a.Stopping():
		rank = rankStopping
	case a.Runs(t):
		rank = rankRunning
	}
	return rank, rank != rankNone
}
