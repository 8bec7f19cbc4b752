package phrase

import "nomadctld/backends"

// State returns a state as a clause: "is lost". For a failure it adds the command that shows the cause.
func State(state, id string) string {
	if state == "failed" {
		return "has failed (see: info " + id + ")"
	}
	return "is " + state
}

// NotRunning returns the state of a task that is not running, or "". It is the state of the allocation if that is
// terminal.
func NotRunning(a backends.Allocation, t backends.Task) string {
	switch state := a.TaskState(t); {
	case state == backends.StateRunning:
		return ""
	case a.TerminalStatus():
		return a.Status
	default:
		return state
	}
}
