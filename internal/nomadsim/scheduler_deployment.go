package nomadsim

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// This file contains the part of a plan that concerns deployments.

// deployment returns the deployment of the planned version, or nil.
func (p *plan) deployment() *deployment {
	if p.newDeployment != nil && p.newDeployment.JobVersion == p.job.Version {
		return p.newDeployment
	}
	return p.job.deployment
}

// groupState returns the deployment state of a group, or nil. An active deployment is first copied into the plan, so
// that the state may be changed.
func (p *plan) groupState(g Group) *deploymentState {
	d := p.deployment()
	if d == nil {
		return nil
	}
	if d.active() && p.newDeployment == nil {
		p.newDeployment = d.copy()
		d = p.newDeployment
	}
	return d.TaskGroups[g.Name]
}

// copy returns a copy that may be changed until it is stored.
func (d *deployment) copy() *deployment {
	e := *d
	e.TaskGroups = map[string]*deploymentState{}
	for name, s := range d.TaskGroups {
		t := *s
		t.PlacedCanaries = slices.Clone(s.PlacedCanaries)
		e.TaskGroups[name] = &t
	}
	return &e
}

// ensureDeployment creates a deployment of this version, unless there is one.
func (p *plan) ensureDeployment() {
	if p.deployment() != nil {
		p.groupState(Group{}) // copies an active deployment into the plan
		return
	}
	now := time.Now()
	d := &deployment{
		ID: uuid("deployment", p.job.Namespace, p.job.ID, strconv.FormatUint(p.job.Version, 10),
			strconv.FormatUint(p.index, 10)),
		Namespace: p.job.Namespace, JobID: p.job.ID, JobVersion: p.job.Version,
		JobModifyIndex: p.job.ModifyIndex, JobSpecModifyIndex: p.job.JobModifyIndex, JobCreateIndex: p.job.CreateIndex,
		Status: "running", StatusDescription: deploymentDescriptions["running"], EvalPriority: p.job.Priority,
		CreateIndex: p.index, CreateTime: now.UnixNano(), ModifyTime: now.UnixNano(),
		TaskGroups: map[string]*deploymentState{},
	}
	for _, g := range p.job.groups {
		u := p.job.updateStrategy(g)
		deadline := u.detail()["ProgressDeadline"].(time.Duration)
		d.TaskGroups[g.Name] = &deploymentState{
			AutoRevert: u.AutoRevert, AutoPromote: u.AutoPromote, DesiredTotal: g.Count, ProgressDeadline: deadline,
			RequireProgressBy: stamp(now.Add(deadline)),
		}
	}
	p.newDeployment = d
}

// cancelSuperseded cancels the deployments of earlier versions.
func (p *plan) cancelSuperseded() {
	p.cancelDeployments("Cancelled due to newer version of job", p.job.deployment)
}

// cancelDeployments cancels the active deployments of the job, except one.
func (p *plan) cancelDeployments(description string, except *deployment) {
	for _, d := range slices.Clone(p.cluster.deployments) {
		if d.Namespace == p.eval.Namespace && d.JobID == p.eval.JobID && d.active() && (except == nil || d.ID != except.ID) {
			e := d.copy()
			e.Status, e.StatusDescription = "cancelled", description
			p.cluster.storeDeployment(e, p.index)
		}
	}
}

// updateDeployment records the placements of the plan in its deployment.
func (p *plan) updateDeployment() {
	d := p.newDeployment
	if d == nil {
		return
	}
	for _, a := range p.placements {
		if s := d.TaskGroups[a.TaskGroup]; s != nil && a.DeploymentID == d.ID && a.isCanary() {
			s.PlacedCanaries = append(s.PlacedCanaries, a.ID)
		}
	}
	p.cluster.countDeployment(d, append(slices.Clone(p.changed), p.placements...))
	d.updateDescription()
}

// updateDescription sets the description of a running deployment, with the promotion that it waits for.
func (d *deployment) updateDescription() {
	if d.Status != "running" {
		return
	}
	d.StatusDescription = deploymentDescriptions["running"]
	for _, s := range d.TaskGroups {
		switch {
		case s.DesiredCanaries == 0 || s.Promoted:
		case s.AutoPromote:
			d.StatusDescription = "Deployment is running pending automatic promotion"
			return
		default:
			d.StatusDescription = "Deployment is running but requires manual promotion"
		}
	}
}

// countDeployment counts the allocations of a deployment. newer are allocations that are not stored yet.
func (c *Cluster) countDeployment(d *deployment, newer []*allocation) {
	all := map[string]*allocation{}
	if j := c.job(d.Namespace, d.JobID); j != nil {
		for _, a := range j.allocations {
			all[a.ID] = a
		}
	}
	for _, a := range newer {
		all[a.ID] = a
	}
	for _, s := range d.TaskGroups {
		s.PlacedAllocs, s.HealthyAllocs, s.UnhealthyAllocs = 0, 0, 0
	}
	for a := range maps.Values(all) {
		s := d.TaskGroups[a.TaskGroup]
		if s == nil || a.DeploymentID != d.ID {
			continue
		}
		s.PlacedAllocs++
		if h := a.DeploymentStatus; h != nil && h.Healthy != nil {
			if *h.Healthy {
				s.HealthyAllocs++
			} else {
				s.UnhealthyAllocs++
			}
			if t := h.Timestamp; t != nil && s.RequireProgressBy != nil &&
				t.Add(s.ProgressDeadline).After(*s.RequireProgressBy) {
				s.RequireProgressBy = stamp(t.Add(s.ProgressDeadline))
			}
		}
	}
}

// storeDeployment stores a new or changed deployment, also in the job version that it belongs to.
func (c *Cluster) storeDeployment(d *deployment, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, time.Now().UnixNano()
	c.deployments = put(c.deployments, d, byCreation)
	before := c.job(d.Namespace, d.JobID)
	if before == nil || before.CreateIndex != d.JobCreateIndex {
		return
	}
	j := *before
	if j.Version == d.JobVersion {
		j.deployment = d
		if d.Status == "successful" && !j.knownStable {
			j.knownStable, j.ModifyIndex = true, index
		}
	}
	j.earlierVersions = slices.Clone(j.earlierVersions)
	for i, v := range j.earlierVersions {
		if v.Version == d.JobVersion {
			w := *v
			w.deployment = d
			j.earlierVersions[i] = &w
		}
	}
	c.storeJob(&j, index)
}
