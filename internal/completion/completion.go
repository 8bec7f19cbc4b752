// Package completion lists the selectors that complete a word of a command line. It is pure: it gets the jobs that the
// user may select.
package completion

import (
	"maps"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// Candidate is a possible completion, with a text for the user.
type Candidate struct{ Word, Description string }

// Jobs returns the IDs of jobs.
func Jobs(jobs []backends.Job) (all []Candidate) {
	for _, job := range jobs {
		all = append(all, Candidate{job.ID, job.Type + " job, " + job.Status + ", " + job.Tier})
	}
	return all
}

// Tasks returns the selectors of tasks that are or may be running. Of several selectors for the same task it offers the
// shortest one, and a longer one only if the user has already typed its start. last is the word to complete. If the
// command accepts jobs, Tasks returns them, too, and the exec IDs of all tasks.
func Tasks(jobs []backends.Job, last string, acceptsJobs bool) (all []Candidate) {
	type bestMatch struct{ rank, tasks int } // the best rank, and the number of tasks that have it
	best := map[string]bestMatch{}           // by JOB, JOB/GROUP and JOB/GROUP/TASK
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		if !matches {
			return
		}
		for _, name := range selectorsOf(a, task) {
			switch f, known := best[name]; {
			case !known || rank < f.rank:
				best[name] = bestMatch{rank, 1}
			case rank == f.rank:
				best[name] = bestMatch{rank, f.tasks + 1}
			}
		}
	})
	if acceptsJobs {
		all = Jobs(jobs)
	}
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		wanted := !acceptsJobs // offer the shortest unique selector, unless Jobs has already offered the job
		for i, name := range selectorsOf(a, task) {
			typed := i > 0 && strings.HasPrefix(last, selectorsOf(a, task)[i-1]+"/")
			if matches && best[name] == (bestMatch{rank, 1}) && (wanted || typed) {
				all = append(all, Candidate{name, task.ExecID + " on " + a.Node})
				wanted = false
			}
		}
	})
	return append(all, execIDs(jobs, !acceptsJobs)...)
}

func selectorsOf(a backends.Allocation, task backends.Task) [3]string {
	group := a.JobID + "/" + a.Group
	return [3]string{a.JobID, group, group + "/" + task.Name}
}

func eachTask(jobs []backends.Job, f func(backends.Allocation, backends.Task)) {
	for _, job := range jobs {
		for _, a := range job.Allocations {
			for _, task := range a.Tasks {
				f(a, task)
			}
		}
	}
}

// execIDs returns the exec IDs of all tasks, or only of tasks that are or may be running. The description of a task
// that is not running starts with its state.
func execIDs(jobs []backends.Job, running bool) (all []Candidate) {
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		about := a.JobID + "/" + task.Name + " on " + a.Node
		if state := phrase.NotRunningState(a, task); state != "" {
			about = state + ": " + about
		}
		if _, matches := a.Rank(task); matches || !running {
			all = append(all, Candidate{task.ExecID, about})
		}
	})
	return all
}

// Parts returns jobs, their groups and, if the command accepts them, tasks and exec IDs. It offers the groups of a job
// after JOB/, or as soon as only one job matches and has several groups.
func Parts(jobs []backends.Job, last string, acceptsTasks, acceptsIDs bool) []Candidate {
	all := Jobs(jobs)
	groups := map[string]map[string]bool{} // by job, of the jobs that match
	for _, job := range jobs {
		if !strings.HasPrefix(job.ID, last) && !strings.HasPrefix(last, job.ID+"/") {
			continue
		}
		if groups[job.ID] == nil {
			groups[job.ID] = map[string]bool{}
		}
		for _, a := range job.Allocations {
			groups[job.ID][a.Group] = true
		}
		for _, u := range job.Unplaced {
			groups[job.ID][u.Group] = true
		}
	}
	for job, names := range groups {
		if strings.HasPrefix(last, job+"/") || len(groups) == 1 && len(names) > 1 {
			for _, group := range slices.Sorted(maps.Keys(names)) {
				all = append(all, Candidate{job + "/" + group, "group of " + job})
			}
		}
	}
	if acceptsTasks {
		eachTask(jobs, func(a backends.Allocation, task backends.Task) {
			if strings.HasPrefix(last, a.JobID+"/"+a.Group+"/") {
				all = append(all, Candidate{selectorsOf(a, task)[2], "task of " + a.Group})
			}
		})
	}
	if acceptsIDs {
		all = append(all, execIDs(jobs, true)...)
	}
	return all
}
