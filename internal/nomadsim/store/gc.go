package store

import (
	"slices"
)

// Collect garbage-collects one job or, for nil, all eligible jobs, evaluations, allocations, deployments and nodes. It
// returns the deleted allocations.
func (st *State) Collect(only *Job) (deleted []*Allocation) {
	index := st.NextIndex(TableJobs, TableSummaries, TableAllocations, TableEvaluations, TableDeployments, TableNodes)
	for _, j := range slices.Clone(st.Jobs) {
		if (only == nil || j == only) && st.Collectable(j) {
			st.removeJob(j)
			deleted = append(deleted, j.Allocations...)
			st.countDeletedChild(j, index)
		}
	}
	if only != nil {
		return deleted
	}
	for _, e := range slices.Clone(st.Evaluations) {
		if !e.terminal() {
			continue
		}
		j, all := st.Job(e.Namespace, e.JobID), true
		for _, a := range slices.Clone(st.Allocations) {
			if a.EvalID != e.ID {
				continue
			}
			if a.collectable(j) {
				st.collectAllocation(a)
				deleted = append(deleted, a)
			} else {
				all = false
			}
		}
		if all {
			st.collectEvaluation(e)
		}
	}
	for _, d := range slices.Clone(st.Deployments) {
		running := func(a *Allocation) bool { return a.DeploymentID == d.ID && !a.Terminal() }
		if !d.Active() && !slices.ContainsFunc(st.Allocations, running) {
			st.collectDeployment(d)
		}
	}
	for _, n := range slices.Clone(st.Nodes) {
		on := func(a *Allocation) bool { return a.NodeID == n.ID && !a.Terminal() }
		if n.Status == "down" && !slices.ContainsFunc(st.Allocations, on) {
			st.Nodes = drop(st.Nodes, n, byName)
		}
	}
	return deleted
}

// Collectable reports whether a job may be deleted: it is dead, its evaluations and allocations are terminal, and it
// has no tagged version.
func (st *State) Collectable(j *Job) bool {
	over := j.Status == "dead" && (j.Stop || j.Type == "batch" || j.Type == "sysbatch")
	if j.IsParent() && (j.Periodic == nil || j.Periodic.Enabled) {
		over = j.Stop
	}
	if !over || slices.ContainsFunc(j.Versions(), func(v *Job) bool { return v.Tag != nil }) {
		return false
	}
	if slices.ContainsFunc(j.Evaluations, func(e *Evaluation) bool { return !e.terminal() }) {
		return false
	}
	return !slices.ContainsFunc(j.Allocations, func(a *Allocation) bool { return !a.collectable(j) })
}

// collectable reports whether an allocation may be deleted. j is its job, or nil if the job is deleted. A failed
// allocation is retained until it is rescheduled. An allocation of a batch job is retained while the job is neither
// dead nor registered again, because it shows that the job has run.
func (a *Allocation) collectable(j *Job) bool {
	if !a.Terminal() || a.ClientStatus == "running" {
		return false
	}
	if j == nil || j.Stop {
		return true
	}
	if j.Type == "batch" {
		return j.Status == "dead" || a.CreateIndex < j.JobModifyIndex
	}
	if j.Status == "dead" || a.DesiredStatus != "run" || a.ClientStatus != "failed" || a.NextAllocation != "" {
		return true
	}
	return !a.Group.PermitsRescheduling(j.Type)
}

// collectAllocation deletes an allocation. The summary of its job still counts it.
func (st *State) collectAllocation(a *Allocation) {
	st.Allocations = drop(st.Allocations, a, byCreation)
	delete(st.byID, a.ID)
	before := st.Job(a.Namespace, a.JobID)
	if before == nil || a.Job.CreateIndex != before.CreateIndex {
		return
	}
	j := *before
	j.Allocations = slices.DeleteFunc(slices.Clone(j.Allocations), func(b *Allocation) bool { return a.ID == b.ID })
	j.collected = map[string]groupSummary{}
	for name, t := range before.collected {
		j.collected[name] = t
	}
	t := j.collected[a.TaskGroup]
	t.add(a.ClientStatus)
	j.collected[a.TaskGroup] = t
	st.Jobs = put(st.Jobs, &j, byName)
}

func (st *State) collectEvaluation(e *Evaluation) {
	st.Evaluations = drop(st.Evaluations, e, byCreation)
	if before := st.Job(e.Namespace, e.JobID); before != nil {
		j := *before
		j.Evaluations = slices.DeleteFunc(slices.Clone(j.Evaluations), func(f *Evaluation) bool { return e.ID == f.ID })
		st.Jobs = put(st.Jobs, &j, byName)
	}
}

// collectDeployment deletes a deployment. If its version was stable, it remains stable.
func (st *State) collectDeployment(d *Deployment) {
	st.Deployments = drop(st.Deployments, d, byCreation)
	before := st.Job(d.Namespace, d.JobID)
	if before == nil {
		return
	}
	without := func(v *Job) *Job {
		if v.Deployment == nil || v.Deployment.ID != d.ID {
			return v
		}
		w := *v
		w.knownStable, w.Deployment = v.IsStable(), nil
		return &w
	}
	j := *before
	j.EarlierVersions = slices.Clone(j.EarlierVersions)
	for i, v := range j.EarlierVersions {
		j.EarlierVersions[i] = without(v)
	}
	st.Jobs = put(st.Jobs, without(&j), byName)
}
