package backends

import "time"

// States of tasks, as TaskState returns them, besides pending.
const (
	StateRunning = "running"
	StateDead    = "dead"
	StateUnknown = "unknown" // its node is disconnected: it may still be running
)

// TerminalStatus reports whether the allocation is terminal in Nomad's sense: complete, failed or lost. An unknown
// allocation, on a disconnected node, is not: it may still be running.
func (a Allocation) TerminalStatus() bool {
	switch a.Status {
	case "complete", "failed", "lost":
		return true
	}
	return false
}

// HiddenByDefault reports whether lists omit the allocation: it is complete or lost. Failed allocations are listed.
func (a Allocation) HiddenByDefault() bool { return a.TerminalStatus() && a.Status != "failed" }

// TaskState returns the state of a task: pending, running, dead or unknown. Use it, not Task.State, to decide whether a
// task is running: Nomad stores the state that the client agent reported last, which stays "running" if the agent is
// lost.
func (a Allocation) TaskState(t Task) string {
	switch {
	case a.Status == "lost", a.Status == "complete":
		return StateDead
	case a.Status == "unknown" && t.State != StateDead:
		return StateUnknown
	}
	return t.State
}

// Runs reports whether a task of the allocation is running, as far as Nomad knows.
func (a Allocation) Runs(t Task) bool { return a.TaskState(t) == StateRunning }

// MayRun reports whether a task of the allocation is running, or may be running on a disconnected node.
func (a Allocation) MayRun(t Task) bool {
	state := a.TaskState(t)
	return state == StateRunning || state == StateUnknown
}

// Stopping reports whether Nomad has requested the allocation to stop and it has not stopped yet.
func (a Allocation) Stopping() bool {
	return !a.TerminalStatus() && a.Desired != "" && a.Desired != "run"
}

// TaskFinishedAt returns when a dead task finished or, if its client agent did not report that, when the allocation
// last changed. It is zero for a task that is not dead.
func (a Allocation) TaskFinishedAt(t Task) time.Time {
	switch {
	case a.TaskState(t) != StateDead:
		return time.Time{}
	case t.State == StateDead && !t.Finished.IsZero():
		return t.Finished
	}
	return a.Modified
}

// Ranks of a task among all that a selector such as a job or group name matches. Lower is better.
const (
	rankRunning  = iota
	rankStopping // running, but being stopped
	rankUnknown  // may be running on a disconnected node
	rankNone     // not running
)

// Rank returns the rank of the task among all that a selector matches, lower being better. matches is false for a task
// that is not running: a job or group name does not select it.
func (a Allocation) Rank(t Task) (rank int, matches bool) {
	rank = rankNone
	switch {
	case a.TerminalStatus():
	case a.TaskState(t) == StateUnknown:
		rank = rankUnknown
	case a.Runs(t) && a.Stopping():
		rank = rankStopping
	case a.Runs(t):
		rank = rankRunning
	}
	return rank, rank != rankNone
}
