package phrase

import "nomadctld/backends"

// StateClause returns a state as a clause: "is lost". For a failure it adds the command that shows the cause.
func StateClause(state, id string) string {
	if state == "failed" {
		return "has failed (see: info " + id + ")"
	}
	return "is " + state
}

// NotRunningState returns the state of a task that is not running, or "". It is the state of the allocation if that is
// terminal.
func NotRunningState(a backends.Allocation, t backends.Task) string {
	switch state := a.TaskState(t); {
	case state == backends.StateRunning:
		return ""
	case a.TerminalStatus():
		return a.Status
	default:
		return state
	}
}
