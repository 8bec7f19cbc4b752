package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// updateAllocation replaces the record of an allocation, and those that count it, by changed copies. c.mu is held.
func (c *Cluster) updateAllocation(old *allocation, change func(a *allocation)) {
	a := old.copy()
	change(a)
	c.storeAllocations(c.nextIndex(tableJobs, tableSummaries, tableAllocations), a)
}

// copy is a record of the allocation that may be changed until it is stored.
func (a *allocation) copy() *allocation {
	b := *a
	b.TaskStates = maps.Clone(a.TaskStates)
	return &b
}

// storeAllocations stores new allocations of one job, or changed copies, at an index, and brings up to date what counts them.
// c.mu is held.
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
		return // purged: its allocations outlive it for a while
	}
	j := *before
	j.allocations = slices.Clone(j.allocations)
	for _, a := range all {
		i, found := slices.BinarySearchFunc(j.allocations, a.ID, func(a *allocation, id string) int { return cmp.Compare(a.ID, id) })
		if found {
			j.allocations[i] = a
		} else {
			j.allocations = slices.Insert(j.allocations, i, a)
		}
	}
	j.summary = j.countAllocations(index)
	c.storeJob(&j, index)
}

// storeJob stores a changed copy of a job with the status that follows from all that belongs to it.
func (c *Cluster) storeJob(j *job, index uint64) {
	before := j.Status
	if status := j.status(); status != before {
		j.Status, j.ModifyIndex = status, index
	}
	c.jobs = put(c.jobs, j, byName)
	c.moveChild(j.Namespace, j.ParentID, before, j.Status, index)
}

// countAllocations sums the job's allocations up anew.
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
			continue // of a job with that ID that was purged
		}
		if sum.Summary[a.TaskGroup] == nil {
			sum.Summary[a.TaskGroup] = &groupSummary{}
		}
		sum.Summary[a.TaskGroup].add(a.ClientStatus)
	}
	return &sum
}

// updateTask replaces the state of a task by a copy that was changed and has these events more.
func (a *allocation) updateTask(name string, change func(s *taskState), events ...Event) {
	s := *a.TaskStates[name]
	s.Events = slices.Concat(s.Events, events)
	s.Events = s.Events[max(len(s.Events)-10, 0):]
	change(&s)
	a.TaskStates[name] = &s
}

// deriveStatus derives the status of the allocation from the states of its tasks, by the rules of Nomad's client: one failed
// task fails it.
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
