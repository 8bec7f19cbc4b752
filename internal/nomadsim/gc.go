package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
)

// collectGarbage garbage-collects everything that is terminal, regardless of Nomad's thresholds.
func collectGarbage(c *Cluster, req *writeRequest) (any, error) {
	if !req.token.rights.Management {
		return nil, errDenied
	}
	req.noIndex = true
	c.afterStep(func() { c.collect(nil) })
	return nil, nil
}

// Collect garbage-collects one job with its versions, as Nomad does after job_gc_threshold. It returns an error if
// Nomad would keep the job.
func (c *Cluster) Collect(namespace, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.job(namespace, id)
	if j == nil {
		return fmt.Errorf("no such job: %s", id)
	}
	if !c.collectable(j) {
		return fmt.Errorf("Nomad keeps job %s: it is %s, with %d allocations", id, j.Status, len(j.allocations))
	}
	c.collect(j)
	return nil
}

// collect garbage-collects one job or, for nil, all eligible jobs, evaluations, allocations, deployments and nodes.
// c.mu is held.
func (c *Cluster) collect(only *job) {
	index := c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments, tableNodes)
	for _, j := range slices.Clone(c.jobs) {
		if (only == nil || j == only) && c.collectable(j) {
			c.removeJob(j)
			c.dropDirs(j.allocations)
			c.countDeletedChild(j, index)
		}
	}
	if only != nil {
		return
	}
	for _, e := range slices.Clone(c.evaluations) {
		if !e.terminal() {
			continue
		}
		j, all := c.job(e.Namespace, e.JobID), true
		for _, a := range slices.Clone(c.allocations) {
			if a.EvalID != e.ID {
				continue
			}
			if a.collectable(j) {
				c.collectAllocation(a)
			} else {
				all = false
			}
		}
		if all {
			c.collectEvaluation(e)
		}
	}
	for _, d := range slices.Clone(c.deployments) {
		running := func(a *allocation) bool { return a.DeploymentID == d.ID && !a.terminal() }
		if !d.active() && !slices.ContainsFunc(c.allocations, running) {
			c.collectDeployment(d)
		}
	}
	for _, n := range slices.Clone(c.nodes) {
		on := func(a *allocation) bool { return a.NodeID == n.ID && !a.terminal() }
		if n.Status == "down" && !slices.ContainsFunc(c.allocations, on) {
			c.nodes = drop(c.nodes, n, byName)
		}
	}
}

// collectable reports whether a job may be deleted: it is dead, its evaluations and allocations are terminal, and it
// has no tagged version.
func (c *Cluster) collectable(j *job) bool {
	over := j.Status == "dead" && (j.Stop || j.Type == "batch" || j.Type == "sysbatch")
	if j.isParent() && (j.Periodic == nil || j.Periodic.Enabled) {
		over = j.Stop
	}
	if !over || slices.ContainsFunc(j.versions(), func(v *job) bool { return v.tag != nil }) {
		return false
	}
	if slices.ContainsFunc(j.evaluations, func(e *evaluation) bool { return !e.terminal() }) {
		return false
	}
	return !slices.ContainsFunc(j.allocations, func(a *allocation) bool { return !a.collectable(j) })
}

func (e *evaluation) terminal() bool { return e.Status != "pending" && e.Status != "blocked" }

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
	return !a.group.permitsRescheduling(j.Type)
}

// permitsRescheduling reports whether the group's policy permits rescheduling.
func (g Group) permitsRescheduling(jobType string) bool {
	if g.Reschedule == nil {
		return jobType == "service" || jobType == "batch"
	}
	return g.Reschedule.Unlimited || g.Reschedule.Attempts > 0
}

// collectAllocation deletes an allocation. The summary of its job still counts it.
func (c *Cluster) collectAllocation(a *allocation) {
	c.allocations = drop(c.allocations, a, byCreation)
	delete(c.allocationByID, a.ID)
	c.dropDirs([]*allocation{a})
	before := c.job(a.Namespace, a.JobID)
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
	c.jobs = put(c.jobs, &j, byName)
}

func (c *Cluster) collectEvaluation(e *evaluation) {
	c.evaluations = drop(c.evaluations, e, byCreation)
	if before := c.job(e.Namespace, e.JobID); before != nil {
		j := *before
		j.evaluations = slices.DeleteFunc(slices.Clone(j.evaluations), func(f *evaluation) bool { return e.ID == f.ID })
		c.jobs = put(c.jobs, &j, byName)
	}
}

// collectDeployment deletes a deployment. If its version was stable, it remains stable.
func (c *Cluster) collectDeployment(d *deployment) {
	c.deployments = drop(c.deployments, d, byCreation)
	before := c.job(d.Namespace, d.JobID)
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
	c.jobs = put(c.jobs, without(&j), byName)
}

// dropDirs kills the tasks of deleted allocations and drops their directories.
func (c *Cluster) dropDirs(all []*allocation) {
	for _, a := range all {
		c.killTasks(a.ID, "")
		c.host.dropDir(a.ID)
	}
}

// isPostToGC reports whether r is a POST to the path for which Nomad accepts only PUT.
func isPostToGC(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/v1/system/gc"
}
