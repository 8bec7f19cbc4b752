package nomadsim

import (
	"slices"
)

// collect garbage-collects one job or, for nil, all eligible jobs, evaluations, allocations, deployments and nodes. It
// returns the deleted allocations.
func (st *state) collect(only *job) (deleted []*allocation) {
	index := st.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments, tableNodes)
	for _, j := range slices.Clone(st.jobs) {
		if (only == nil || j == only) && st.collectable(j) {
			st.removeJob(j)
			deleted = append(deleted, j.allocations...)
			st.countDeletedChild(j, index)
		}
	}
	if only != nil {
		return deleted
	}
	for _, e := range slices.Clone(st.evaluations) {
		if !e.terminal() {
			continue
		}
		j, all := st.job(e.Namespace, e.JobID), true
		for _, a := range slices.Clone(st.allocations) {
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
	for _, d := range slices.Clone(st.deployments) {
		running := func(a *allocation) bool { return a.DeploymentID == d.ID && !a.terminal() }
		if !d.active() && !slices.ContainsFunc(st.allocations, running) {
			st.collectDeployment(d)
		}
	}
	for _, n := range slices.Clone(st.nodes) {
		on := func(a *allocation) bool { return a.NodeID == n.ID && !a.terminal() }
		if n.Status == "down" && !slices.ContainsFunc(st.allocations, on) {
			st.nodes = drop(st.nodes, n, byName)
		}
	}
	return deleted
}

// collectable reports whether a job may be deleted: it is dead, its evaluations and allocations are terminal, and it
// has no tagged version.
func (st *state) collectable(j *job) bool {
	over := j.Status == "dead" && (j.Stop || j.Type == "batch" || j.Type == "sysbatch")
	if j.IsParent() && (j.Periodic == nil || j.Periodic.Enabled) {
		over = j.Stop
	}
	if !over || slices.ContainsFunc(j.versions(), func(v *job) bool { return v.Tag != nil }) {
		return false
	}
	if slices.ContainsFunc(j.evaluations, func(e *evaluation) bool { return !e.terminal() }) {
		return false
	}
	return !slices.ContainsFunc(j.allocations, func(a *allocation) bool { return !a.collectable(j) })
}

// collectable reports whether an allocation may be deleted. j is its job, or nil if the job is deleted. A failed
// allocation is kept until it is rescheduled. An allocation of a batch job is kept while the job is neither dead nor
// registered again, because it shows that the job has run.
func (a *allocation) collectable(j *job) bool {
	if !a.terminal() || a.ClientStatus == "running" {
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
	return !a.group.PermitsRescheduling(j.Type)
}

// collectAllocation deletes an allocation. The summary of its job still counts it.
func (st *state) collectAllocation(a *allocation) {
	st.allocations = drop(st.allocations, a, byCreation)
	delete(st.byID, a.ID)
	before := st.job(a.Namespace, a.JobID)
	if before == nil || a.Job.CreateIndex != before.CreateIndex {
		return
	}
	j := *before
	j.allocations = slices.DeleteFunc(slices.Clone(j.allocations), func(b *allocation) bool { return a.ID == b.ID })
	j.collected = map[string]groupSummary{}
	for name, t := range before.collected {
		j.collected[name] = t
	}
	t := j.collected[a.TaskGroup]
	t.add(a.ClientStatus)
	j.collected[a.TaskGroup] = t
	st.jobs = put(st.jobs, &j, byName)
}

func (st *state) collectEvaluation(e *evaluation) {
	st.evaluations = drop(st.evaluations, e, byCreation)
	if before := st.job(e.Namespace, e.JobID); before != nil {
		j := *before
		j.evaluations = slices.DeleteFunc(slices.Clone(j.evaluations), func(f *evaluation) bool { return e.ID == f.ID })
		st.jobs = put(st.jobs, &j, byName)
	}
}

// collectDeployment deletes a deployment. Its version remains stable.
func (st *state) collectDeployment(d *deployment) {
	st.deployments = drop(st.deployments, d, byCreation)
	before := st.job(d.Namespace, d.JobID)
	if before == nil {
		return
	}
	without := func(v *job) *job {
		if v.deployment == nil || v.deployment.ID != d.ID {
			return v
		}
		w := *v
		w.knownStable, w.deployment = v.isStable(), nil
		return &w
	}
	j := *before
	j.earlierVersions = slices.Clone(j.earlierVersions)
	for i, v := range j.earlierVersions {
		j.earlierVersions[i] = without(v)
	}
	st.jobs = put(st.jobs, without(&j), byName)
}
