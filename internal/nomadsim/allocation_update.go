package nomadsim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// updateAllocation changes a copy of an allocation and stores it with the counts that depend on it.
func (st *state) updateAllocation(old *allocation, change func(a *allocation)) {
	a := old.copy()
	change(a)
	st.storeAllocations(st.nextIndex(tableJobs, tableSummaries, tableAllocations), a)
}

// copy returns a copy that may be changed until it is stored.
func (a *allocation) copy() *allocation {
	b := *a
	b.TaskStates = maps.Clone(a.TaskStates)
	return &b
}

// storeAllocations stores new or changed allocations of one job at an index, and updates the job's counts.
func (st *state) storeAllocations(index uint64, all ...*allocation) {
	if len(all) == 0 {
		return
	}
	now := time.Now().UnixNano()
	for _, a := range all {
		a.ModifyIndex, a.ModifyTime = index, now
		st.allocations = put(st.allocations, a, byCreation)
		st.byID[a.ID] = a
	}
	before := st.job(all[0].Namespace, all[0].JobID)
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
	st.storeJob(&j, index)
}

// updateTask replaces the state of a task by a changed copy with more events.
func (a *allocation) updateTask(name string, change func(s *taskState), events ...jobspec.Event) {
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
