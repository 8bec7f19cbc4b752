package tasklog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// Task is a task whose log is printed.
type Task struct {
	backends.Allocation
	Task backends.Task
}

// name returns the task's and the allocation's name, escaped.
func (l Task) name() string { return escape.Text(l.Task.Name + " of " + l.Name) }

// instance returns group[index].
func (l Task) instance() string { return strings.TrimPrefix(l.Name, l.JobID+".") }

// prefix returns group[index]/task and a bar, in a color that depends on the name. For a child job of parent, the part
// of its ID after the parent's is at the start.
func (l Task) prefix(style render.Style, parent string) string {
	name := l.instance() + "/" + l.Task.Name
	if child, ok := strings.CutPrefix(l.JobID, parent+"/"); ok && parent != "" {
		name = child + "/" + name
	}
	return style.Colorize(render.NameColor(name), escape.Text(name)+" |") + " "
}

// Selection selects tasks of a job. The zero value selects the tasks of all allocations that are not hidden by default
// and that Nomad has not replaced. If there are none, it selects those of the newest allocation of each name.
type Selection struct {
	Group, Task string               // only these; empty: all
	Allocation  *backends.Allocation // only this one, in any state; nil: all

	// One is the only task to select. Its lines have no prefix, and it is an error if it has no log.
	One *Task
}

// SelectOne sets One if the selection now matches only one task of the job.
func (s *Selection) SelectOne(job backends.Job) {
	if tasks, err := s.tasks(job); err == nil && len(tasks) == 1 {
		s.One = &tasks[0]
	}
}

// byID reports whether the user has selected one allocation or one task.
func (s Selection) byID() bool { return s.Allocation != nil || s.One != nil }

// Matches reports whether the selection matches a task in any allocation of a job.
func (s Selection) Matches(job backends.Job) bool { return len(s.tasksOf(job.Allocations)) > 0 }

func (s Selection) selects(t Task) bool {
	return (s.Allocation == nil || s.Allocation.ID == t.ID) && (s.Group == "" || s.Group == t.Group) &&
		(s.Task == "" || s.Task == t.Task.Name)
}

// tasks returns the selected tasks of a job. Without any, its error has the reason.
func (s Selection) tasks(job backends.Job) ([]Task, error) {
	if s.One != nil {
		return []Task{*s.One}, nil
	}
	current := slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		if s.Allocation != nil {
			return s.Allocation.ID != a.ID
		}
		return a.HiddenByDefault() || a.Next != ""
	})
	if s.Allocation != nil && len(current) == 0 {
		current = []backends.Allocation{*s.Allocation}
	}
	selected := s.tasksOf(current)
	if len(selected) == 0 {
		current = nil
		for i, a := range job.Allocations { // allocations of the same name are sorted newest first
			if !slices.ContainsFunc(job.Allocations[:i], a.SameInstance) {
				current = append(current, a)
			}
		}
		selected = s.tasksOf(current)
	}
	if len(selected) == 0 {
		return nil, s.noTasks(job)
	}
	return selected, nil
}

// tasksOf returns the selected tasks of allocations.
func (s Selection) tasksOf(allocations []backends.Allocation) []Task {
	return slices.DeleteFunc(tasksOf(allocations), func(t Task) bool { return !s.selects(t) })
}

// noTasks returns why a job has none of the selected tasks.
func (s Selection) noTasks(job backends.Job) error {
	name := job.ID
	if s.Group != "" {
		name += "/" + s.Group
	}
	unplaced := slices.DeleteFunc(slices.Clone(job.Unplaced), func(g backends.UnplacedGroup) bool {
		return s.Group != "" && g.Group != s.Group
	})
	switch {
	case len(unplaced) > 0:
		return fmt.Errorf("%s has no allocations: Nomad cannot place %s (see: info %s)",
			name, phrase.Unplaced(unplaced), job.ID)
	case job.Stopped:
		return fmt.Errorf("%s has no allocations: the job is stopped", name)
	case s.Task != "":
		name += "/" + s.Task
	}
	return fmt.Errorf("%s has no allocations (see: info %s)", name, job.ID)
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
		return fmt.Errorf(
			"the log of %s comes from Nomad's files, which have no timestamps: leave out --since and --until", task)
	case err != nil:
		return fmt.Errorf("log of %s: %w", task, err)
	}
	return nil
}
