package nomadsim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// restartTasks stops tasks and starts them again one step later.
func (ag *agents) restartTasks(st *state, old *allocation, tasks []jobspec.Task, reason string) {
	if len(tasks) == 0 {
		return
	}
	now := time.Now()
	ag.applyFailNext(old)
	st.updateAllocation(old, func(a *allocation) {
		for _, t := range tasks {
			signaled := jobspec.NewEvent(now, "Restart Signaled", reason, map[string]string{"restart_reason": reason})
			signaled.RestartReason = reason
			events := []jobspec.Event{signaled}
			if a.TaskStates[t.Name].State == "running" {
				events = append(events, sigkillEvent(now, t))
			}
			again := jobspec.NewEvent(now, "Restarting", "Task restarting in 0s",
				map[string]string{"restart_reason": "", "start_delay": "0"})
			a.updateTask(t.Name, func(s *taskState) {
				s.State, s.Failed, s.FinishedAt, s.LastRestart = "pending", false, nil, stamp(now)
				s.Restarts++
			}, append(events, again)...)
		}
		a.deriveStatus()
	})
	for _, t := range tasks {
		st.afterStep(func(st *state) { ag.restartTask(st, old.ID, t) }, ag.killTasks(old.ID, t.Name)...)
	}
}

var errNotRunning = errors.New("Task not running")

// restart restarts one task, the running tasks or all tasks of an allocation, in place.
func (ag *agents) restart(st *state, a *allocation, task string, all bool) error {
	reason, names := "User requested running tasks to restart", []string{}
	switch {
	case all && task != "":
		return errors.New("task name cannot be set when restarting all tasks")
	case task != "":
		if _, found := a.task(task); !found {
			return fmt.Errorf("Could not find task runner for task: %s", task)
		}
		if s := a.TaskStates[task]; s == nil || s.State != "running" {
			return errNotRunning
		}
		reason, names = "User requested task to restart", []string{task}
	case a.terminal():
		return errors.New("restart of an alloc that should not run")
	case all:
		reason = "User requested all tasks to restart"
	}
	var tasks []jobspec.Task
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if len(names) > 0 && !slices.Contains(names, t.Name) || s == nil {
			continue
		}
		if s.State == "running" || (all && s.State == "dead") {
			tasks = append(tasks, t)
		}
	}
	ag.restartTasks(st, a, tasks, reason)
	return nil
}

// signal sends a signal to one task or to all tasks of an allocation.
func (ag *agents) signal(st *state, a *allocation, task, signal string) error {
	tasks := a.group.Tasks
	if task != "" {
		t, found := a.task(task)
		if !found {
			return errors.New("Task not found")
		}
		tasks = []jobspec.Task{t}
	}
	var failed []string
	for _, t := range tasks {
		if s := a.TaskStates[t.Name]; s == nil || s.State != "running" {
			failed = append(failed, "Failed to signal task: "+t.Name+", err: "+errNotRunning.Error())
		}
	}
	switch {
	case len(failed) > 0 && task != "":
		return errNotRunning
	case len(failed) > 0:
		return jobspec.ErrorList(failed...)
	}
	st.updateAllocation(a, func(a *allocation) {
		for _, t := range tasks {
			// Nomad 2.0.5 records neither the signal nor the reason.
			a.updateTask(t.Name, func(*taskState) {}, jobspec.NewEvent(time.Now(), "Signaling", "Task being sent a signal", nil))
		}
	})
	for _, t := range tasks {
		if r := ag.runners[a.ID]; r != nil && r.tasks[t.Name] != nil && r.tasks[t.Name].process != nil {
			r.tasks[t.Name].process.signal(signal)
		}
	}
	return nil
}
