package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// restartTasks stops tasks and starts them again one step later.
func (ag *Agents) restartTasks(st *store.State, old *store.Allocation, tasks []jobspec.Task, reason string) {
	if len(tasks) == 0 {
		return
	}
	now := time.Now()
	ag.applyFailNext(old)
	st.UpdateAllocation(old, func(a *store.Allocation) {
		for _, t := range tasks {
			signaled := jobspec.NewEvent(now, "Restart Signaled", reason, map[string]string{"restart_reason": reason})
			signaled.RestartReason = reason
			events := []jobspec.Event{signaled}
			if a.TaskStates[t.Name].State == "running" {
				events = append(events, sigkillEvent(now, t))
			}
			again := jobspec.NewEvent(now, "Restarting", "Task restarting in 0s",
				map[string]string{"restart_reason": "", "start_delay": "0"})
			a.UpdateTask(t.Name, func(s *store.TaskState) {
				s.State, s.Failed, s.FinishedAt, s.LastRestart = "pending", false, nil, store.Stamp(now)
				s.Restarts++
			}, append(events, again)...)
		}
		a.DeriveStatus()
	})
	for _, t := range tasks {
		st.AfterStep(func(st *store.State) { ag.restartTask(st, old.ID, t) }, ag.killTasks(old.ID, t.Name)...)
	}
}

var errNotRunning = errors.New("Task not running")

// Restart restarts one task, the running tasks or all tasks of an allocation, in place.
func (ag *Agents) Restart(st *store.State, a *store.Allocation, task string, all bool) error {
	reason, names := "User requested running tasks to restart", []string{}
	switch {
	case all && task != "":
		return errors.New("task name cannot be set when restarting all tasks")
	case task != "":
		if _, found := a.Task(task); !found {
			return fmt.Errorf("Could not find task runner for task: %s", task)
		}
		if s := a.TaskStates[task]; s == nil || s.State != "running" {
			return errNotRunning
		}
		reason, names = "User requested task to restart", []string{task}
	case a.Terminal():
		return errors.New("restart of an alloc that should not run")
	case all:
		reason = "User requested all tasks to restart"
	}
	var tasks []jobspec.Task
	for _, t := range a.Group.Tasks {
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

// Signal sends a signal to one task or to all tasks of an allocation.
func (ag *Agents) Signal(st *store.State, a *store.Allocation, task, signal string) error {
	tasks := a.Group.Tasks
	if task != "" {
		t, found := a.Task(task)
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
	st.UpdateAllocation(a, func(a *store.Allocation) {
		for _, t := range tasks {
			// Nomad 2.0.5 records neither the signal nor the reason.
			a.UpdateTask(t.Name, func(*store.TaskState) {},
				jobspec.NewEvent(time.Now(), "Signaling", "Task being sent a signal", nil))
		}
	})
	for _, t := range tasks {
		if r := ag.runners[a.ID]; r != nil && r.tasks[t.Name] != nil {
			r.tasks[t.Name].signal(signal)
		}
	}
	return nil
}
