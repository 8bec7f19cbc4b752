package nomadsim

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// updateAllocation changes a copy of an allocation and stores it with the counts that depend on it. c.mu is held.
func (c *Cluster) updateAllocation(old *allocation, change func(a *allocation)) {
	a := old.copy()
	change(a)
	c.storeAllocations(c.nextIndex(tableJobs, tableSummaries, tableAllocations), a)
}

// copy returns a copy that may be changed until it is stored.
func (a *allocation) copy() *allocation {
	b := *a
	b.TaskStates = maps.Clone(a.TaskStates)
	return &b
}

// storeAllocations stores new or changed allocations of one job at an index, and updates the job's counts. c.mu is
// held.
func (c *Cluster) storeAllocations(index uint64, all ...*allocation) {
	if len(all) == 0 {
		return
	}
	now := time.Now().UnixNano()
	for _, a := range all {
		a.ModifyIndex, a.ModifyTime = index, now
		c.allocations = put(c.allocations, a, byCreation)
		c.allocationByID[a.ID] = a
	}
	before := c.job(all[0].Namespace, all[0].JobID)
	if before == nil {
		return // purged; its allocations remain for a while
	}
	j := *before
	j.allocations = slices.Clone(j.allocations)
	for _, a := range all {
		i, found := slices.BinarySearchFunc(j.allocations, a.ID, func(a *allocation, id string) int {
			return cmp.Compare(a.ID, id)
		})
		if found {
			j.allocations[i] = a
		} else {
			j.allocations = slices.Insert(j.allocations, i, a)
		}
	}
	j.summary = j.countAllocations(index)
	c.storeJob(&j, index)
}

// storeJob stores a changed copy of a job with its derived status.
func (c *Cluster) storeJob(j *job, index uint64) {
	before := j.Status
	if status := j.status(); status != before {
		j.Status, j.ModifyIndex = status, index
	}
	c.jobs = put(c.jobs, j, byName)
	c.moveChild(j.Namespace, j.ParentID, before, j.Status, index)
}

// countAllocations returns a new summary of the job's allocations.
func (j *job) countAllocations(index uint64) *summary {
	sum := *j.summary
	sum.ModifyIndex, sum.Summary = index, map[string]*groupSummary{}
	for name, before := range j.summary.Summary {
		t := j.collected[name]
		t.Queued = before.Queued
		sum.Summary[name] = &t
	}
	for _, a := range j.allocations {
		if a.Job.CreateIndex != j.CreateIndex {
			continue // belongs to a purged job with the same ID
		}
		if sum.Summary[a.TaskGroup] == nil {
			sum.Summary[a.TaskGroup] = &groupSummary{}
		}
		sum.Summary[a.TaskGroup].add(a.ClientStatus)
	}
	return &sum
}

// updateTask replaces the state of a task by a changed copy with more events.
func (a *allocation) updateTask(name string, change func(s *taskState), events ...Event) {
	s := *a.TaskStates[name]
	s.Events = slices.Concat(s.Events, events)
	s.Events = s.Events[max(len(s.Events)-10, 0):]
	change(&s)
	a.TaskStates[name] = &s
}

// deriveStatus derives the client status from the task states, with the rules of Nomad's client: a failed task makes
// the allocation failed.
func (a *allocation) deriveStatus() {
	has := map[string]bool{}
	for _, s := range a.TaskStates {
		has[s.State] = true
		has["failed"] = has["failed"] || s.Failed
	}
	switch {
	case has["failed"]:
		a.ClientStatus = "failed"
	case has["running"]:
		a.ClientStatus = "running"
	case has["pending"]:
		a.ClientStatus = "pending"
	default:
		a.ClientStatus = "complete"
	}
	a.ClientDescription = clientDescriptions[a.ClientStatus]
}
