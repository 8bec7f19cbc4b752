package nomadsim

import (
	"fmt"
	"slices"
	"time"
)

// These functions write task events to the record of an allocation. The record must be a copy.

func (a *allocation) taskStarted(t Task) {
	now := time.Now()
	a.updateTask(t.Name, func(s *taskState) { s.State, s.StartedAt = "running", stamp(now) }, Started(now))
}

func (a *allocation) taskStartFailed(t Task, err error) {
	now := time.Now()
	reason := "failed to launch command with executor: rpc error: code = Unknown desc = " + err.Error()
	failure := newEvent(now, "Driver Failure", reason, map[string]string{"driver_error": reason})
	failure.DriverError = reason
	a.updateTask(t.Name, func(s *taskState) {
		s.State, s.Failed, s.StartedAt, s.FinishedAt = "dead", true, nil, stamp(now)
		// The description assumed that the task was started.
		s.Events = slices.DeleteFunc(s.Events, func(e Event) bool { return e.Type == "Started" })
		s.Events = append(s.Events, failure, notRestartingEvent(now, "Error was unrecoverable"))
	})
}

func (a *allocation) taskExited(t Task, code, signal int, decision restartDecision) {
	now := time.Now()
	events := []Event{terminatedEvent(now, t.Driver, code, signal)}
	if decision.restart {
		again := Restarting(now, decision.delay)
		again.RestartReason, again.Details["restart_reason"] = decision.reason, decision.reason
		a.updateTask(t.Name, func(s *taskState) {
			s.State, s.LastRestart = "pending", stamp(now)
			s.Restarts++
		}, append(events, again)...)
		return
	}
	if decision.failed {
		events = append(events, notRestartingEvent(now, decision.reason))
	}
	a.updateTask(t.Name, func(s *taskState) {
		s.State, s.Failed, s.FinishedAt = "dead", decision.failed, stamp(now)
	}, events...)
}

// killDependentTasks ends the remaining tasks: all tasks if one has failed, or the sidecars if only sidecars are
// left.
func (a *allocation) killDependentTasks() {
	failed, mainLeft := "", false
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if s.State == "dead" && s.Failed {
			failed = t.Name
		}
		mainLeft = mainLeft || (s.State != "dead" && !t.Sidecar)
	}
	if failed == "" && mainLeft {
		return
	}
	now := time.Now()
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if s.State == "dead" {
			continue
		}
		var events []Event
		if failed != "" {
			sibling := newEvent(now, "Sibling Task Failed", fmt.Sprintf("Task's sibling %q failed", failed),
				map[string]string{"failed_sibling": failed})
			sibling.FailedSibling = failed
			events = append(events, sibling)
		}
		events = append(events, killingEvent(now))
		if s.State == "running" {
			events = append(events, terminatedEvent(now, t.Driver, 130, 2))
		}
		events = append(events, newEvent(now, "Killed", "Task successfully killed", nil))
		a.updateTask(t.Name, func(s *taskState) { s.State, s.FinishedAt = "dead", stamp(now) }, events...)
	}
}

// terminatedEvent reports the exit of a task's program, with the message of its driver.
func terminatedEvent(at time.Time, driver string, code, signal int) Event {
	if driver == "docker" {
		return DockerTerminated(at, code, "")
	}
	return ExecTerminated(at, code, signal)
}

func notRestartingEvent(at time.Time, reason string) Event {
	e := NotRestarting(at, 0)
	e.DisplayMessage, e.RestartReason, e.Details["restart_reason"] = reason, reason, reason
	return e
}
