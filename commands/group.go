package commands

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/router"
)

// groupOf returns the group that part names, or nil for the whole job. It returns an error if the job does not have
// that group or task.
func groupOf(job backends.JobDetail, part router.Part) (*backends.Group, error) {
	if part.Group == "" {
		return nil, nil
	}
	var names []string
	for i, g := range job.Groups {
		names = append(names, g.Name)
		if g.Name != part.Group {
			continue
		}
		if _, ok := g.Tasks[part.Task]; part.Task != "" && !ok {
			return nil, fmt.Errorf("group %s of %s has no task %s (it has %s)",
				g.Name, job.ID, part.Task, strings.Join(taskNames(g), ", "))
		}
		return &job.Groups[i], nil
	}
	return nil, fmt.Errorf("%s has no group %s (it has %s)", job.ID, part.Group, strings.Join(names, ", "))
}

func taskNames(g backends.Group) []string {
	var names []string
	for name := range g.Tasks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
