package store

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// UpdateAllocation changes a copy of an allocation and stores it with the counts that depend on it.
func (st *State) UpdateAllocation(old *Allocation, change func(a *Allocation)) {
	a := old.Copy()
	change(a)
	st.StoreAllocations(st.NextIndex(TableJobs, TableSummaries, TableAllocations), a)
}

// Copy returns a copy that may be changed until it is stored.
func (a *Allocation) Copy() *Allocation {
	b := *a
	b.TaskStates = maps.Clone(a.TaskStates)
	return &b
}

// StoreAllocations stores new or changed allocations of one job at an index, and updates the job's counts.
func (st *State) StoreAllocations(index uint64, all ...*Allocation) {
	if len(all) == 0 {
		return
	}
	now := time.Now().UnixNano()
	for _, a := range all {
		a.ModifyIndex, a.ModifyTime = index, now
		st.Allocations = put(st.Allocations, a, byCreation)
		st.byID[a.ID] = a
	}
	before := st.Job(all[0].Namespace, all[0].JobID)
	if before == nil {
		return // purged; its allocations remain for a while
	}
	j := *before
	j.Allocations = slices.Clone(j.Allocations)
	for _, a := range all {
		i, found := slices.BinarySearchFunc(j.Allocations, a.ID, func(a *Allocation, id string) int {
			return cmp.Compare(a.ID, id)
		})
		if found {
			j.Allocations[i] = a
		} else {
			j.Allocations = slices.Insert(j.Allocations, i, a)
		}
	}
	j.Summary = j.CountAllocations(index)
	st.StoreJob(&j, index)
}

// UpdateTask replaces the state of a task by a changed copy with more events.
func (a *Allocation) UpdateTask(name string, change func(s *TaskState), events ...jobspec.Event) {
	s := *a.TaskStates[name]
	s.Events = slices.Concat(s.Events, events)
	s.Events = s.Events[max(len(s.Events)-10, 0):]
	change(&s)
	a.TaskStates[name] = &s
}

// DeriveStatus derives the client status from the task states, with the rules of Nomad's client: a failed task makes
// the allocation failed.
func (a *Allocation) DeriveStatus() {
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
