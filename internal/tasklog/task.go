package commands

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/render"
	"nomadctld/router"
)

// logTask is a task whose log is printed.
type logTask struct {
	backends.Allocation
	task backends.Task
}

// name returns the task's and the allocation's name, escaped.
func (l logTask) name() string { return escape.Text(l.task.Name + " of " + l.Name) }

// prefix returns group[index]/task and a bar, in a color that depends on the name.
func (l logTask) prefix(style render.Style) string {
	name := strings.TrimPrefix(l.Name, l.JobID+".") + "/" + l.task.Name
	return style.Colorize(render.NameColor(name), escape.Text(name)+" |") + " "
}

// selectTasks returns the request's tasks: the named task, or the tasks of the job's allocations that are neither
// hidden by default nor replaced. If there are none, it returns the tasks of the newest allocation of each name.
func selectTasks(req *router.Request) ([]logTask, error) {
	if req.Target.Task != nil {
		return []logTask{{*req.Target.Allocation, *req.Target.Task}}, nil
	}
	current := slices.DeleteFunc(slices.Clone(req.Target.Job.Allocations), func(a backends.Allocation) bool {
		return a.HiddenByDefault() || a.Next != ""
	})
	if len(current) == 0 {
		for i, a := range req.Target.Job.Allocations { // allocations of the same name are sorted newest first
			if !slices.ContainsFunc(req.Target.Job.Allocations[:i], a.SameInstance) {
				current = append(current, a)
			}
		}
	}
	tasks := tasksOf(current)
	if len(tasks) == 0 {
		if req.Target.Job.Periodic || req.Target.Job.Parameterized {
			return nil, fmt.Errorf("%s has no tasks of its own, only child jobs (see: ps --all %s)",
				req.Target.Job.ID, req.Target.Job.ID)
		}
		return nil, fmt.Errorf("%s has no allocations (see: ps --all %s)",
			req.Target.Job.ID, req.Target.Job.ID)
	}
	return tasks, nil
}

func tasksOf(allocations []backends.Allocation) (tasks []logTask) {
	for _, a := range allocations {
		for _, t := range a.Tasks {
			tasks = append(tasks, logTask{a, t})
		}
	}
	return tasks
}

// previousTask returns the same task of the allocation before this one.
func (l logTask) previousTask(job backends.Job) (found logTask, ok bool) {
	for _, a := range job.Allocations {
		older := a.SameInstance(l.Allocation) && a.ID != l.ID && a.Created.Before(l.Created)
		if !older || ok && a.Created.Before(found.Created) {
			continue
		}
		for _, t := range a.Tasks {
			if t.Name == l.task.Name {
				found, ok = logTask{a, t}, true
			}
		}
	}
	return found, ok
}

// exitText describes how a task has finished: the time and the exit code, as far as Nomad knows them.
func (l logTask) exitText() string {
	text := "has finished"
	if l.Status == "lost" {
		return "was lost: its node is down"
	}
	if !l.task.Finished.IsZero() {
		text += " at " + l.task.Finished.UTC().Format("2006-01-02T15:04:05Z")
	}
	for _, e := range slices.Backward(l.task.Events) {
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
