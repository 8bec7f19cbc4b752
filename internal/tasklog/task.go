package tasklog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/render"
)

// Task is a task whose log is printed.
type Task struct {
	backends.Allocation
	Task backends.Task
}

// name returns the task's and the allocation's name, escaped.
func (l Task) name() string { return escape.Text(l.Task.Name + " of " + l.Name) }

// prefix returns group[index]/task and a bar, in a color that depends on the name.
func (l Task) prefix(style render.Style) string {
	name := strings.TrimPrefix(l.Name, l.JobID+".") + "/" + l.Task.Name
	return style.Colorize(render.NameColor(name), escape.Text(name)+" |") + " "
}

// selectTasks returns the tasks of a job's allocations that are neither hidden by default nor replaced. If there are
// none, it returns the tasks of the newest allocation of each name.
func selectTasks(job backends.Job) ([]Task, error) {
	current := slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		return a.HiddenByDefault() || a.Next != ""
	})
	if len(current) == 0 {
		for i, a := range job.Allocations { // allocations of the same name are sorted newest first
			if !slices.ContainsFunc(job.Allocations[:i], a.SameInstance) {
				current = append(current, a)
			}
		}
	}
	tasks := tasksOf(current)
	if len(tasks) == 0 {
		if job.Periodic || job.Parameterized {
			return nil, fmt.Errorf("%s has no tasks of its own, only child jobs (see: ps --all %s)", job.ID, job.ID)
		}
		return nil, fmt.Errorf("%s has no allocations (see: ps --all %s)", job.ID, job.ID)
	}
	return tasks, nil
}

func tasksOf(allocations []backends.Allocation) (tasks []Task) {
	for _, a := range allocations {
		for _, t := range a.Tasks {
			tasks = append(tasks, Task{a, t})
		}
	}
	return tasks
}

// previousTask returns the same task of the allocation before this one.
func (l Task) previousTask(job backends.Job) (found Task, ok bool) {
	for _, a := range job.Allocations {
		older := a.SameInstance(l.Allocation) && a.ID != l.ID && a.Created.Before(l.Created)
		if !older || ok && a.Created.Before(found.Created) {
			continue
		}
		for _, t := range a.Tasks {
			if t.Name == l.Task.Name {
				found, ok = Task{a, t}, true
			}
		}
	}
	return found, ok
}

// exitText describes how a task has finished: the time and the exit code, as far as Nomad knows them.
func (l Task) exitText() string {
	text := "has finished"
	if l.Status == "lost" {
		return "was lost: its node is down"
	}
	if !l.Task.Finished.IsZero() {
		text += " at " + l.Task.Finished.UTC().Format("2006-01-02T15:04:05Z")
	}
	for _, e := range slices.Backward(l.Task.Events) {
		if code := e.Details["exit_code"]; e.Type == "Terminated" && code != "" {
			text += " with exit code " + escape.Text(code)
			if e.Details["oom_killed"] == "true" {
				text += " (OOM killed)"
			}
			break
		}
	}
	return text
}

// explainError adds the task and the next step to an error of a log.
func explainError(err error, t Task) error {
	task := t.name()
	switch {
	case errors.Is(err, backends.ErrRunsNotSeparable):
		return fmt.Errorf("log of %s: %w (for all runs: logs -n all %s; "+
			"for the previous allocation: logs --previous-allocation %s)", task, err, t.Task.ExecID, t.Task.ExecID)
	case errors.Is(err, backends.ErrNoLog):
		return fmt.Errorf("log of %s: %w (see: info %s)", task, err, t.Task.ExecID)
	case errors.Is(err, backends.ErrNoTimestamps):
		return fmt.Errorf("the log of %s comes from Nomad's files, which have no timestamps: leave out -t and --since", task)
	case err != nil:
		return fmt.Errorf("log of %s: %w", task, err)
	}
	return nil
}
