package sim

import (
	"fmt"
	"slices"
	"time"
)

// What happens to a task and is written down in the record of its allocation, which is a copy that may be changed.

func (a *allocation) started(t Task) {
	now := time.Now()
	a.setTask(t.Name, func(s *taskState) { s.State, s.StartedAt = "running", stamp(now) }, Started(now))
}

func (a *allocation) cannotStart(t Task, err error) {
	now := time.Now()
	reason := "failed to launch command with executor: rpc error: code = Unknown desc = " + err.Error()
	failure := event(now, "Driver Failure", reason, map[string]string{"driver_error": reason})
	failure.DriverError = reason
	a.setTask(t.Name, func(s *taskState) {
		s.State, s.Failed, s.StartedAt, s.FinishedAt = "dead", true, nil, stamp(now)
		// The description took it for granted that the task was started.
		s.Events = slices.DeleteFunc(s.Events, func(e Event) bool { return e.Type == "Started" })
		s.Events = append(s.Events, failure, notRestarting(now, "Error was unrecoverable"))
	})
}

func (a *allocation) ended(t Task, code, signal int, v verdict) {
	now := time.Now()
	events := []Event{exited(now, t.Driver, code, signal)}
	if v.again {
		again := Restarting(now, v.delay)
		again.RestartReason, again.Details["restart_reason"] = v.reason, v.reason
		a.setTask(t.Name, func(s *taskState) {
			s.State, s.LastRestart = "pending", stamp(now)
			s.Restarts++
		}, append(events, again)...)
		return
	}
	if v.failed {
		events = append(events, notRestarting(now, v.reason))
	}
	a.setTask(t.Name, func(s *taskState) { s.State, s.Failed, s.FinishedAt = "dead", v.failed, stamp(now) }, events...)
}

// endSiblings ends the tasks that cannot go on without another: all of them when one has failed, and sidecars when no
// other is left.
func (a *allocation) endSiblings() {
	failed, left := "", false
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if s.State == "dead" && s.Failed {
			failed = t.Name
		}
		left = left || (s.State != "dead" && !t.Sidecar)
	}
	if failed == "" && left {
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
			sibling := event(now, "Sibling Task Failed", fmt.Sprintf("Task's sibling %q failed", failed), map[string]string{"failed_sibling": failed})
			sibling.FailedSibling = failed
			events = append(events, sibling)
		}
		interrupt := event(now, "Killing", "Sent interrupt. Waiting 5s before force killing", map[string]string{"kill_timeout": "5s"})
		interrupt.KillTimeout = 5 * time.Second
		events = append(events, interrupt)
		if s.State == "running" {
			events = append(events, exited(now, t.Driver, 130, 2))
		}
		events = append(events, event(now, "Killed", "Task successfully killed", nil))
		a.setTask(t.Name, func(s *taskState) { s.State, s.FinishedAt = "dead", stamp(now) }, events...)
	}
}

// exited is the end of a task's program in the words of its driver.
func exited(at time.Time, driver string, code, signal int) Event {
	if driver == "docker" {
		return Terminated(at, code, "")
	}
	return Exited(at, code, signal)
}

func notRestarting(at time.Time, reason string) Event {
	e := NotRestarting(at, 0)
	e.DisplayMessage, e.RestartReason, e.Details["restart_reason"] = reason, reason, reason
	return e
}
