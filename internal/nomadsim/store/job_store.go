package store

import (
	"cmp"
	"slices"
)

// Orphans returns the allocations and evaluations that a purged job left.
func (st *State) Orphans(namespace, id string) (allocations []*Allocation, evaluations []*Evaluation) {
	for _, a := range st.Allocations {
		if a.Namespace == namespace && a.JobID == id {
			allocations = append(allocations, a)
		}
	}
	for _, e := range st.Evaluations {
		if e.Namespace == namespace && e.JobID == id {
			evaluations = append(evaluations, e)
		}
	}
	j := Job{Allocations: allocations, Evaluations: evaluations}
	j.sort()
	return j.Allocations, j.Evaluations
}

// RecordsOf returns the allocations and evaluations of a job, or those that a purged job left.
func (st *State) RecordsOf(j *Job, e *Evaluation) ([]*Allocation, []*Evaluation) {
	if j != nil {
		return j.Allocations, j.Evaluations
	}
	return st.Orphans(e.Namespace, e.JobID)
}

// Job returns the current version of a job, or nil if there is none.
func (st *State) Job(namespace, id string) *Job {
	if i, found := find(st.Jobs, key{namespace: namespace, id: id}, byName); found {
		return st.Jobs[i]
	}
	return nil
}

func (st *State) removeJob(j *Job) {
	st.Jobs = drop(st.Jobs, j, byName)
	for _, a := range j.Allocations {
		st.Allocations = drop(st.Allocations, a, byCreation)
		delete(st.byID, a.ID)
	}
	for _, e := range j.Evaluations {
		st.Evaluations = drop(st.Evaluations, e, byCreation)
	}
	for _, d := range j.Deployments() {
		st.Deployments = drop(st.Deployments, d, byCreation)
	}
}

// sort sorts the allocations and evaluations of a job in Nomad's order.
func (j *Job) sort() {
	slices.SortFunc(j.Allocations, func(a, b *Allocation) int { return cmp.Compare(a.ID, b.ID) })
	j.sortEvaluations()
}

func (j *Job) sortEvaluations() {
	slices.SortFunc(j.Evaluations, func(a, b *Evaluation) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.ID, b.ID))
	})
}

// StoreJob stores a changed copy of a job with its derived status.
func (st *State) StoreJob(j *Job, index uint64) {
	before := j.Status
	if status := j.status(); status != before {
		j.Status, j.ModifyIndex = status, index
	}
	st.Jobs = put(st.Jobs, j, byName)
	st.moveChild(j.Namespace, j.ParentID, before, j.Status, index)
}

// CountAllocations returns a new summary of the job's allocations.
func (j *Job) CountAllocations(index uint64) *summary {
	sum := *j.Summary
	sum.ModifyIndex, sum.Summary = index, map[string]*groupSummary{}
	for name, before := range j.Summary.Summary {
		t := j.collected[name]
		t.Queued = before.Queued
		sum.Summary[name] = &t
	}
	for _, a := range j.Allocations {
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

// Purge deletes a job with all its records, if it exists. It returns its allocations.
func (st *State) Purge(namespace, id string) []*Allocation {
	j := st.Job(namespace, id)
	if j == nil {
		return nil
	}
	st.NextIndex(TableJobs, TableSummaries, TableAllocations, TableEvaluations, TableDeployments)
	st.removeJob(j)
	st.countChildren(namespace, j.ParentID)
	return j.Allocations
}

// DeleteJob deletes the record of a job, but not those of its allocations and evaluations.
func (st *State) DeleteJob(j *Job, index uint64) {
	st.Jobs = drop(st.Jobs, j, byName)
	st.countDeletedChild(j, index)
}
