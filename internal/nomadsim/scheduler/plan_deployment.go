package scheduler

import (
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file contains the part of a plan that concerns deployments.

// deployment returns the deployment of the planned version, or nil.
func (p *plan) deployment() *store.Deployment {
	if p.newDeployment != nil && p.newDeployment.JobVersion == p.job.Version {
		return p.newDeployment
	}
	return p.job.Deployment
}

// groupState returns the deployment state of a group, or nil. An active deployment is first copied into the plan, so
// that the state may be changed.
func (p *plan) groupState(g jobspec.Group) *store.DeploymentState {
	d := p.deployment()
	if d == nil {
		return nil
	}
	if d.Active() && p.newDeployment == nil {
		p.newDeployment = d.Copy()
		d = p.newDeployment
	}
	return d.TaskGroups[g.Name]
}

// ensureDeployment creates a deployment of this version, unless there is one.
func (p *plan) ensureDeployment() {
	if p.deployment() != nil {
		p.groupState(jobspec.Group{}) // copies an active deployment into the plan
		return
	}
	now := time.Now()
	d := &store.Deployment{
		ID: jobspec.UUID("deployment", p.job.Namespace, p.job.ID, strconv.FormatUint(p.job.Version, 10),
			strconv.FormatUint(p.index, 10)),
		Namespace: p.job.Namespace, JobID: p.job.ID, JobVersion: p.job.Version,
		JobModifyIndex: p.job.ModifyIndex, JobSpecModifyIndex: p.job.JobModifyIndex, JobCreateIndex: p.job.CreateIndex,
		Status: "running", StatusDescription: store.DeploymentDescriptions["running"], EvalPriority: p.job.Priority,
		CreateIndex: p.index, CreateTime: now.UnixNano(), ModifyTime: now.UnixNano(),
		TaskGroups: map[string]*store.DeploymentState{},
	}
	for _, g := range p.job.Groups {
		u := p.job.UpdateStrategy(g)
		deadline := u.Detail()["ProgressDeadline"].(time.Duration)
		d.TaskGroups[g.Name] = &store.DeploymentState{
			AutoRevert: u.AutoRevert, AutoPromote: u.AutoPromote, DesiredTotal: g.Count, ProgressDeadline: deadline,
			RequireProgressBy: store.Stamp(now.Add(deadline)),
		}
	}
	p.newDeployment = d
}

// cancelSuperseded cancels the deployments of earlier versions.
func (p *plan) cancelSuperseded() {
	p.cancelDeployments("Cancelled due to newer version of job", p.job.Deployment)
}

// cancelDeployments cancels the active deployments of the job, except one.
func (p *plan) cancelDeployments(description string, except *store.Deployment) {
	for _, d := range slices.Clone(p.st.Deployments) {
		if d.Namespace == p.eval.Namespace && d.JobID == p.eval.JobID && d.Active() && (except == nil || d.ID != except.ID) {
			e := d.Copy()
			e.Status, e.StatusDescription = "cancelled", description
			p.st.StoreDeployment(e, p.index)
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
		if s := d.TaskGroups[a.TaskGroup]; s != nil && a.DeploymentID == d.ID && a.IsCanary() {
			s.PlacedCanaries = append(s.PlacedCanaries, a.ID)
		}
	}
	p.st.CountDeployment(d, append(slices.Clone(p.changed), p.placements...))
	d.UpdateDescription()
}
