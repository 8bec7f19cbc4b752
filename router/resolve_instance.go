package router

import (
	"fmt"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/phrase"
)

// sameTask reports whether all targets are instances of the same task.
func sameTask(found []Target) bool {
	for _, t := range found {
		first := found[0]
		if t.Task == nil || t.Job.Tier != first.Job.Tier || t.Job.Namespace != first.Job.Namespace ||
			t.Job.ID != first.Job.ID || t.Allocation.Group != first.Allocation.Group || t.Task.Name != first.Task.Name {
			return false
		}
	}
	return len(found) > 0
}

// notRunningError returns the error for a selector of a job, group or task of which nothing is running. It has the
// latest reason that Nomad recorded for a failed or waiting task.
func notRunningError(job backends.Job, selector string) error {
	why := whyNotRunning(job, selector, time.Now())
	if why == "" {
		return fmt.Errorf("no task of %s is running (see: ps --all %s)", selector, job.ID)
	}
	return fmt.Errorf("no task of %s is running: %s (see: info %s)", selector, why, job.ID)
}

func whyNotRunning(job backends.Job, selector string, now time.Time) (why string) {
	if job.Stopped {
		return "the job is stopped"
	}
	var latest time.Time
	problem := false
	selected := latestAllocations([]backends.Job{job}, func(a backends.Allocation, t backends.Task) bool {
		group := a.JobID + "/" + a.Group
		return selector == a.JobID || selector == group || selector == group+"/"+t.Name || namesInstance(selector, a, t)
	})
	for _, s := range selected {
		a, t := *s.Allocation, *s.Task
		if a.Status == "complete" || a.TaskState(t) == backends.StateDead && !t.Failed && a.Status != "lost" {
			continue
		}
		at := a.Modified
		if n := len(t.Events); n > 0 {
			at = t.Events[n-1].Time
		}
		state := jobstate.Task(a, t, nil, now)
		if why == "" || state.Problem && !problem || state.Problem == problem && at.After(latest) {
			latest, problem = at, state.Problem
			why = strings.TrimPrefix(a.Name, a.JobID+".") + "/" + t.Name + " " + state.Clause()
		}
	}
	if why == "" && len(job.Unplaced) > 0 {
		return "Nomad cannot place " + phrase.Unplaced(job.Unplaced)
	}
	return why
}
