package agent

import (
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// startTasks starts the tasks whose lifecycle permits it now, in the record of an allocation, and returns them.
// Prestart tasks start first, and main tasks when those that are not sidecars have finished. Poststart tasks start when
// all main tasks have started, and poststop tasks when all main tasks have finished.
func startTasks(a *store.Allocation) (started []jobspec.Task) {
	for {
		tasks := startableTasks(a)
		if len(tasks) == 0 {
			return started
		}
		for _, t := range tasks {
			a.UpdateTask(t.Name, func(*store.TaskState) {}, jobspec.TaskSetup(time.Now()))
			taskStarted(a, t)
		}
		started = append(started, tasks...)
	}
}

func startableTasks(a *store.Allocation) (tasks []jobspec.Task) {
	prestartLeft, mainLeft := false, false
	for _, t := range a.Group.Tasks {
		left := a.TaskStates[t.Name].State != "dead"
		prestartLeft = prestartLeft || left && t.Hook == "prestart" && !t.Sidecar
		mainLeft = mainLeft || left && isMain(t)
	}
	for _, t := range a.Group.Tasks {
		var waits bool
		switch {
		case t.Hook == "prestart":
		case t.Hook == "poststop":
			waits = mainLeft
		case isMain(t):
			waits = prestartLeft
		default:
			waits = mainTasksWait(a)
		}
		if neverStarted(a, t) && !waits {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// mainTasksWait reports whether a main task has not started yet.
func mainTasksWait(a *store.Allocation) bool {
	for _, t := range a.Group.Tasks {
		if isMain(t) && neverStarted(a, t) {
			return true
		}
	}
	return false
}

func neverStarted(a *store.Allocation, t jobspec.Task) bool {
	s := a.TaskStates[t.Name]
	return s.State == "pending" && s.StartedAt == nil
}

// isMain reports whether the task has no lifecycle block. A sidecar without a hook is a poststart task.
func isMain(t jobspec.Task) bool { return t.Hook == "" && !t.Sidecar }
