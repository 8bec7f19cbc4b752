package nomadsim

import (
	"cmp"
	"slices"
)

// orphans returns the allocations and evaluations that a purged job left.
func (c *Cluster) orphans(namespace, id string) (allocations []*allocation, evaluations []*evaluation) {
	for _, a := range c.allocations {
		if a.Namespace == namespace && a.JobID == id {
			allocations = append(allocations, a)
		}
	}
	for _, e := range c.evaluations {
		if e.Namespace == namespace && e.JobID == id {
			evaluations = append(evaluations, e)
		}
	}
	j := job{allocations: allocations, evaluations: evaluations}
	j.sort()
	return j.allocations, j.evaluations
}

// allocationsOf returns the allocations and evaluations of a job, or those that a purged job left.
func (c *Cluster) allocationsOf(j *job, e *evaluation) ([]*allocation, []*evaluation) {
	if j != nil {
		return j.allocations, j.evaluations
	}
	return c.orphans(e.Namespace, e.JobID)
}

func (c *Cluster) job(namespace, id string) *job {
	if i, found := find(c.jobs, key{namespace: namespace, id: id}, byName); found {
		return c.jobs[i]
	}
	return nil
}

func (c *Cluster) removeJob(j *job) {
	c.jobs = drop(c.jobs, j, byName)
	for _, a := range j.allocations {
		c.allocations = drop(c.allocations, a, byCreation)
		delete(c.allocationByID, a.ID)
	}
	for _, e := range j.evaluations {
		c.evaluations = drop(c.evaluations, e, byCreation)
	}
	for _, d := range j.deployments() {
		c.deployments = drop(c.deployments, d, byCreation)
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
