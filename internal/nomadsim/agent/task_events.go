package agent

import (
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// These functions write task events to the record of an allocation. The record must be a copy.

func taskStarted(a *store.Allocation, t jobspec.Task) {
	now := time.Now()
	a.UpdateTask(t.Name, func(s *store.TaskState) { s.State, s.StartedAt = "running", store.Stamp(now) },
		jobspec.Started(now))
}

func taskStartFailed(a *store.Allocation, t jobspec.Task, err error) {
	now := time.Now()
	reason := "failed to launch command with executor: rpc error: code = Unknown desc = " + err.Error()
	failure := jobspec.NewEvent(now, "Driver Failure", reason, map[string]string{"driver_error": reason})
	failure.DriverError = reason
	a.UpdateTask(t.Name, func(s *store.TaskState) {
		s.State, s.Failed, s.StartedAt, s.FinishedAt = "dead", true, nil, store.Stamp(now)
		// The record already has a Started event, although the program did not start.
		s.Events = slices.DeleteFunc(s.Events, func(e jobspec.Event) bool { return e.Type == "Started" })
		s.Events = append(s.Events, failure, notRestartingEvent(now, "Error was unrecoverable"))
	})
}

func taskExited(a *store.Allocation, t jobspec.Task, code, signal int, decision restartDecision) {
	now := time.Now()
	events := []jobspec.Event{terminatedEvent(now, t.Driver, code, signal)}
	if decision.restart {
		again := jobspec.Restarting(now, decision.delay)
		again.RestartReason, again.Details["restart_reason"] = decision.reason, decision.reason
		a.UpdateTask(t.Name, func(s *store.TaskState) {
			s.State, s.LastRestart = "pending", store.Stamp(now)
			s.Restarts++
		}, append(events, again)...)
		return
	}
	if decision.failed {
		events = append(events, notRestartingEvent(now, decision.reason))
	}
	a.UpdateTask(t.Name, func(s *store.TaskState) {
		s.State, s.Failed, s.FinishedAt = "dead", decision.failed, store.Stamp(now)
	}, events...)
}

// killDependentTasks kills the remaining tasks: all tasks if one has failed, or those except poststop tasks if the main
// tasks have finished.
func killDependentTasks(a *store.Allocation) {
	failed, mainLeft := "", false
	for _, t := range a.Group.Tasks {
		s := a.TaskStates[t.Name]
		if s.State == "dead" && s.Failed {
			failed = t.Name
		}
		mainLeft = mainLeft || s.State != "dead" && isMain(t)
	}
	if failed == "" && mainLeft {
		return
	}
	now := time.Now()
	for _, t := range a.Group.Tasks {
		s := a.TaskStates[t.Name]
		if s.State == "dead" || failed == "" && t.Hook == "poststop" {
			continue
		}
		var events []jobspec.Event
		if failed != "" {
			sibling := jobspec.NewEvent(now, "Sibling Task Failed", fmt.Sprintf("Task's sibling %q failed", failed),
				map[string]string{"failed_sibling": failed})
			sibling.FailedSibling = failed
			events = append(events, sibling)
		}
		events = append(events, killingEvent(now))
		if s.State == "running" {
			events = append(events, terminatedEvent(now, t.Driver, 130, 2))
		}
		events = append(events, jobspec.NewEvent(now, "Killed", "Task successfully killed", nil))
		a.UpdateTask(t.Name, func(s *store.TaskState) { s.State, s.FinishedAt = "dead", store.Stamp(now) }, events...)
	}
}

// terminatedEvent reports the exit of a task's program, with the message of its driver.
func terminatedEvent(at time.Time, driver string, code, signal int) jobspec.Event {
	if driver == "docker" {
		return jobspec.DockerTerminated(at, code, "")
	}
	return jobspec.ExecTerminated(at, code, signal)
}

func notRestartingEvent(at time.Time, reason string) jobspec.Event {
	e := jobspec.NotRestarting(at, 0)
	e.DisplayMessage, e.RestartReason, e.Details["restart_reason"] = reason, reason, reason
	return e
}
