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
	best := map[string]bestMatch{}           // by selector
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		if !matches {
			return
		}
		for _, s := range selectorsOf(a, task, last) {
			switch f, known := best[s.name]; {
			case !known || rank < f.rank:
				best[s.name] = bestMatch{rank, 1}
			case rank == f.rank:
				best[s.name] = bestMatch{rank, f.tasks + 1}
			}
		}
	})
	if acceptsJobs {
		all = Jobs(jobs)
	}
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		wanted := !acceptsJobs // offer the shortest unique selector, unless Jobs has already offered the job
		offered := false       // one that completes the word
		for i, s := range selectorsOf(a, task, last) {
			typed := s.typedStart != "" && strings.HasPrefix(last, s.typedStart) && !(offered && i == instanceLevel)
			if matches && best[s.name] == (bestMatch{rank, 1}) && (wanted || typed) {
				all = append(all, Candidate{s.name, task.ExecID + " on " + a.Node})
				wanted, offered = false, offered || strings.HasPrefix(s.name, last)
			}
		}
	})
	return append(all, execIDs(jobs, !acceptsJobs)...)
}

// selector is a name of a task. It is offered even if a shorter one is unique, once the user has typed typedStart.
type selector struct{ name, typedStart string }

// instanceLevel is the position of the name of the allocation among the selectors.
const instanceLevel = 3

// selectorsOf returns the selectors of a task, the shortest first. Those of instances have the form that last has:
// JOB/GROUP[INDEX] or JOB.GROUP[INDEX].
func selectorsOf(a backends.Allocation, task backends.Task, last string) []selector {
	group, instance := a.JobID+"/"+a.Group, instanceName(a, last)
	return []selector{
		{a.JobID, ""},
		{group, a.JobID + "/"},
		{group + "/" + task.Name, group + "/"},
		{instance, instance[:len(a.JobID)+1]},
		{instance + "/" + task.Name, instance + "/"},
	}
}

// instanceName returns the name of an allocation in the form that last has.
func instanceName(a backends.Allocation, last string) string {
	separator := "/"
	if strings.HasPrefix(last, a.JobID+".") {
		separator = "."
	}
	return a.JobID + separator + strings.TrimPrefix(a.Name, a.JobID+".")
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

// Accepted lists what a command accepts besides jobs and groups.
type Accepted struct {
	Tasks    bool // JOB/GROUP/TASK
	IDs      bool // names and exec IDs of tasks and allocations that are or may be running
	Finished bool // with IDs: also of tasks that have finished
}

// Parts returns jobs, their groups and what else the command accepts. It offers the groups of a job after JOB/, or as
// soon as only one job matches and has several groups. It offers allocations after JOB/GROUP, and after the job ID and
// a dot, as in JOB.GROUP[0].
func Parts(jobs []backends.Job, last string, accepted Accepted) []Candidate {
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
	if accepted.Tasks {
		eachTask(jobs, func(a backends.Allocation, task backends.Task) {
			if group := a.JobID + "/" + a.Group + "/"; strings.HasPrefix(last, group) {
				all = append(all, Candidate{group + task.Name, "task of " + a.Group})
			}
		})
	}
	if accepted.IDs {
		all = append(all, instances(jobs, last)...)
		all = append(all, execIDs(jobs, !accepted.Finished)...)
	}
	return all
}

// instances returns the allocations of a group whose name the user has typed.
func instances(jobs []backends.Job, last string) (all []Candidate) {
	for _, job := range jobs {
		for _, a := range job.Allocations {
			name := instanceName(a, last)
			start, _, _ := strings.Cut(name[len(a.JobID):], "[")
			if name[len(a.JobID)] == '.' {
				start = "."
			}
			if !a.TerminalStatus() && strings.HasPrefix(last, a.JobID+start) {
				all = append(all, Candidate{name, "allocation " + phrase.ShortID(a.ID) + " on " + a.Node})
			}
		}
	}
	return all
}
