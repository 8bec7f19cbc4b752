package router

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
)

// Target is what a selector selects: a job, a part of it, an allocation, or a task in an allocation.
type Target struct {
	Job        backends.Job
	Part       Part                 // for TargetPart
	Allocation *backends.Allocation // nil: not selected
	Task       *backends.Task       // likewise; in Allocation
}

// Part is a group of a job, or a task in all allocations of a group. It is as the user wrote it: nothing has checked
// that the job has such a group or task. The zero value is the whole job.
type Part struct{ Group, Task string }

func (t Target) String() string {
	if t.Allocation == nil {
		return fmt.Sprintf("%s in namespace %s of tier %s", t.Job.ID, t.Job.Namespace, t.Job.Tier)
	}
	if t.Task == nil {
		return fmt.Sprintf("%s %s on %s, in namespace %s of tier %s",
			t.Allocation.ID, t.Allocation.Name, t.Allocation.Node, t.Job.Namespace, t.Job.Tier)
	}
	return fmt.Sprintf("%s %s/%s on %s, %s, in namespace %s of tier %s",
		t.Task.ExecID, t.Allocation.Name, t.Task.Name, t.Allocation.Node, t.Allocation.Status, t.Job.Namespace, t.Job.Tier)
}

// matchesExactly reports whether the selector is a full name or ID of the target and not a prefix of an ID.
func (t Target) matchesExactly(selector string) bool {
	return strings.HasPrefix(selector, t.Job.ID) || t.Allocation != nil && selector == t.Allocation.ID ||
		t.Task != nil && selector == t.Task.ExecID
}

// GroupIn returns the group of a job that the part names, or nil for the whole job. It returns an error if the job does
// not have that group or task.
func (p Part) GroupIn(job backends.JobDetail) (*backends.Group, error) {
	if p.Group == "" {
		return nil, nil
	}
	var names []string
	for i, g := range job.Groups {
		names = append(names, g.Name)
		if g.Name != p.Group {
			continue
		}
		if _, ok := g.Task(p.Task); p.Task != "" && !ok {
			return nil, fmt.Errorf("group %s of %s has no task %s (it has %s)",
				g.Name, job.ID, p.Task, strings.Join(taskNames(g), ", "))
		}
		return &job.Groups[i], nil
	}
	return nil, fmt.Errorf("%s has no group %s (it has %s)", job.ID, p.Group, strings.Join(names, ", "))
}

func taskNames(g backends.Group) []string {
	var names []string
	for _, t := range g.Tasks {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}
