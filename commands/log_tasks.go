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

// logTask is a task whose log is wanted.
type logTask struct {
	backends.Allocation
	task backends.Task
}

// name says which task of which allocation it is; harmless text.
func (l logTask) name() string { return escape.Text(l.task.Name + " of " + l.Name) }

// prefix returns group[index]/task and a bar, in a colour that lines of the same task share.
func (l logTask) prefix(look render.Style) string {
	name := strings.TrimPrefix(l.Name, l.JobID+".") + "/" + l.task.Name
	return look.Colorize(render.NameColor(name), escape.Text(name)+" |") + " "
}

// selectTasks returns the tasks that a request is about: the one that was named, or those of the job's allocations that
// have not been replaced; if none runs any more, those of the newest of each.
func selectTasks(req *router.Request) ([]logTask, error) {
	if req.Task != nil {
		return []logTask{{*req.Allocation, *req.Task}}, nil
	}
	current := slices.DeleteFunc(slices.Clone(req.Job.Allocations), func(a backends.Allocation) bool { return a.HiddenByDefault() || a.Next != "" })
	if len(current) == 0 {
		for i, a := range req.Job.Allocations { // newest first within each name
			if !slices.ContainsFunc(req.Job.Allocations[:i], a.SameInstance) {
				current = append(current, a)
			}
		}
	}
	tasks := tasksOf(current)
	if len(tasks) == 0 {
		if req.Job.Periodic || req.Job.Parameterized {
			return nil, fmt.Errorf("what %s launches are jobs of their own (see: ps --all %s)", req.Job.ID, req.Job.ID)
		}
		return nil, fmt.Errorf("no allocation of %s (see: ps --all %s)", req.Job.ID, req.Job.ID)
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

// previousTask returns the same task of the allocation that this one took the place of.
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

// exitText says how a task has finished: when Nomad saw it and the exit code, as far as it tells.
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
				text += ", for want of memory"
			}
			break
		}
	}
	return text
}
