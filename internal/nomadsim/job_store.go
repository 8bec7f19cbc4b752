package nomadsim

import (
	"cmp"
	"slices"
)

// orphans returns the allocations and evaluations that a purged job left.
func (st *state) orphans(namespace, id string) (allocations []*allocation, evaluations []*evaluation) {
	for _, a := range st.allocations {
		if a.Namespace == namespace && a.JobID == id {
			allocations = append(allocations, a)
		}
	}
	for _, e := range st.evaluations {
		if e.Namespace == namespace && e.JobID == id {
			evaluations = append(evaluations, e)
		}
	}
	j := job{allocations: allocations, evaluations: evaluations}
	j.sort()
	return j.allocations, j.evaluations
}

// allocationsOf returns the allocations and evaluations of a job, or those that a purged job left.
func (st *state) allocationsOf(j *job, e *evaluation) ([]*allocation, []*evaluation) {
	if j != nil {
		return j.allocations, j.evaluations
	}
	return st.orphans(e.Namespace, e.JobID)
}

func (st *state) job(namespace, id string) *job {
	if i, found := find(st.jobs, key{namespace: namespace, id: id}, byName); found {
		return st.jobs[i]
	}
	return nil
}

func (st *state) removeJob(j *job) {
	st.jobs = drop(st.jobs, j, byName)
	for _, a := range j.allocations {
		st.allocations = drop(st.allocations, a, byCreation)
		delete(st.byID, a.ID)
	}
	for _, e := range j.evaluations {
		st.evaluations = drop(st.evaluations, e, byCreation)
	}
	for _, d := range j.deployments() {
		st.deployments = drop(st.deployments, d, byCreation)
	}
}

// sort sorts the allocations and evaluations of a job in Nomad's order.
func (j *job) sort() {
	slices.SortFunc(j.allocations, func(a, b *allocation) int { return cmp.Compare(a.ID, b.ID) })
	j.sortEvaluations()
}

func (j *job) sortEvaluations() {
	slices.SortFunc(j.evaluations, func(a, b *evaluation) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.ID, b.ID))
	})
}

// storeJob stores a changed copy of a job with its derived status.
func (st *state) storeJob(j *job, index uint64) {
	before := j.Status
	if status := j.status(); status != before {
		j.Status, j.ModifyIndex = status, index
	}
	st.jobs = put(st.jobs, j, byName)
	st.moveChild(j.Namespace, j.ParentID, before, j.Status, index)
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

// purge deletes a job with all its records, if it exists. It returns its allocations.
func (st *state) purge(namespace, id string) []*allocation {
	j := st.job(namespace, id)
	if j == nil {
		return nil
	}
	st.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments)
	st.removeJob(j)
	st.countChildren(namespace, j.ParentID)
	return j.allocations
}

// idle reports whether a job has reached a stable state: no evaluation is pending (except max-disconnect-timeout), no
// allocation is starting or stopping on a running client, and no deployment is active. It returns false if there is no
// such job.
func (st *state) idle(namespace, id string) bool {
	j := st.job(namespace, id)
	awaited := func(e *evaluation) bool { return e.Status == "pending" && e.TriggeredBy != "max-disconnect-timeout" }
	if j == nil || slices.ContainsFunc(j.evaluations, awaited) || (j.deployment != nil && j.deployment.active()) {
		return false
	}
	for _, a := range j.allocations {
		if a.ClientStatus == "pending" && !st.agentDown(a) ||
			(a.DesiredStatus != "run" && a.ClientStatus == "running" && !st.agentDown(a)) {
			return false
		}
	}
	return true
}

// deleteJob deletes the record of a job, but not those of its allocations and evaluations.
func (st *state) deleteJob(j *job, index uint64) {
	st.jobs = drop(st.jobs, j, byName)
	st.countDeletedChild(j, index)
}
