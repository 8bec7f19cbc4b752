package nomadsim

import (
	"fmt"
	"slices"
	"time"
)

// This file simulates Nomad's deployment watcher: it completes, promotes and fails deployments according to the
// health of their allocations.

// markHealthy marks a running allocation as healthy, unless its health is already set.
func (c *Cluster) markHealthy(id string) {
	a := c.allocationByID[id]
	if a == nil || a.terminal() || c.agentDown(a) || a.ClientStatus != "running" ||
		a.DeploymentID == "" && a.Job.Type != "service" || a.hasHealth() {
		return
	}
	c.setAllocHealth(a, true)
}

func (a *allocation) hasHealth() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil
}

// setAllocHealth stores the health of an allocation and updates its deployment.
func (c *Cluster) setAllocHealth(a *allocation, healthy bool) {
	b := a.copy()
	index := c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments)
	b.DeploymentStatus = &allocHealth{Canary: a.isCanary(), Healthy: &healthy, ModifyIndex: index}
	if healthy {
		b.DeploymentStatus.Timestamp = stamp(time.Now())
	}
	c.storeAllocations(index, b)
	i := slices.IndexFunc(c.deployments, func(d *deployment) bool { return d.ID == a.DeploymentID })
	if i < 0 {
		return
	}
	d := c.deployments[i].copy()
	c.countDeployment(d, nil)
	c.storeDeployment(d, index)
	if c.checkDeployment(d.ID) {
		c.evaluate(c.job(d.Namespace, d.JobID), "deployment-watcher", c.nextIndex(tableEvaluations), 0)
	}
}

// checkDeployment completes, promotes or fails a running deployment if the health of its allocations requires it. It
// reports whether the deployment continues unchanged.
func (c *Cluster) checkDeployment(id string) (unchanged bool) {
	d := c.deploymentByID(id)
	if d == nil || d.Status != "running" {
		return false
	}
	j := c.job(d.Namespace, d.JobID)
	if j == nil || j.deployment == nil || j.deployment.ID != id {
		return false
	}
	complete, promotable, automatic := true, true, false
	for _, s := range d.TaskGroups {
		if s.UnhealthyAllocs > 0 {
			c.failDeployment(d, "Failed due to unhealthy allocations")
			return false
		}
		waits := s.DesiredCanaries > 0 && !s.Promoted
		complete = complete && !waits && s.HealthyAllocs >= max(s.DesiredTotal, s.DesiredCanaries)
		promotable = promotable && (!waits || s.HealthyAllocs >= s.DesiredCanaries)
		automatic = automatic || waits && s.AutoPromote
	}
	switch {
	case complete:
		c.afterStep(func() { c.completeDeployment(id) })
	case automatic && promotable:
		c.afterStep(func() { c.autoPromote(id) })
	default:
		return true
	}
	return false
}

func (c *Cluster) deploymentByID(id string) *deployment {
	i := slices.IndexFunc(c.deployments, func(d *deployment) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return c.deployments[i]
}

// autoPromote promotes a running deployment, unless it is already promoted.
func (c *Cluster) autoPromote(id string) {
	d := c.deploymentByID(id)
	if d == nil || d.Status != "running" {
		return
	}
	for _, s := range d.TaskGroups {
		if s.DesiredCanaries > 0 && !s.Promoted {
			c.promote(id, nil)
			return
		}
	}
}

// completeDeployment marks a running deployment as successful.
func (c *Cluster) completeDeployment(id string) {
	old := c.deploymentByID(id)
	if old == nil {
		return
	}
	j := c.job(old.Namespace, old.JobID)
	if old.Status != "running" || j == nil || j.deployment == nil || j.deployment.ID != id {
		return
	}
	d := old.copy()
	d.Status, d.StatusDescription = "successful", deploymentDescriptions["successful"]
	c.storeDeployment(d, c.nextIndex(tableJobs, tableDeployments))
}

// failDeployment marks a deployment as failed. If a group has auto_revert, it also reverts the job to its newest
// stable version. It returns the new evaluation and the version.
func (c *Cluster) failDeployment(old *deployment, description string) (e *evaluation, reverted *uint64) {
	d := old.copy()
	d.Status, d.StatusDescription = "failed", description
	index := c.nextIndex(tableJobs, tableSummaries, tableDeployments, tableEvaluations)
	j := c.job(d.Namespace, d.JobID)
	revert := false
	for _, s := range d.TaskGroups {
		revert = revert || s.AutoRevert
	}
	if !revert || j == nil {
		c.storeDeployment(d, index)
		return c.evaluateDeployment(d, index), nil
	}
	var stable *job
	for _, v := range j.versions() {
		if v.isStable() && v.Version != d.JobVersion && (stable == nil || v.Version > stable.Version) {
			stable = v
		}
	}
	switch {
	case stable == nil:
		d.StatusDescription += " - no stable job version to auto revert to"
		c.storeDeployment(d, index)
	case j.sameSpec(stable):
		d.StatusDescription += fmt.Sprintf(" - not rolling back to stable job version %d as current job has same "+
			"specification", stable.Version)
		c.storeDeployment(d, index)
	default:
		d.StatusDescription += fmt.Sprintf(" - rolling back to job version %d", stable.Version)
		c.storeDeployment(d, index)
		back := *stable
		back.tag = nil
		c.storeVersion(c.job(d.Namespace, d.JobID), &back, index)
		reverted = &stable.Version
	}
	return c.evaluateDeployment(d, index), reverted
}

func (c *Cluster) evaluateDeployment(d *deployment, index uint64) *evaluation {
	j := c.job(d.Namespace, d.JobID)
	if j == nil {
		j = &job{Namespace: d.Namespace, ID: d.JobID, Type: "service", Priority: d.EvalPriority}
	}
	e := j.newPendingEvaluation("deployment-watcher", index, 0)
	e.DeploymentID = d.ID
	c.enqueue(e)
	return e
}
