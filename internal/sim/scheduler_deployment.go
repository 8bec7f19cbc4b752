package sim

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// The part of a plan that is about deployments.

// deployment is that of the version which is planned; nil: it has none.
func (p *plan) deployment() *deployment {
	if p.deployed != nil && p.deployed.JobVersion == p.j.Version {
		return p.deployed
	}
	return p.j.deployment
}

// state is how far the deployment of a group is: one that may be changed, or nil.
func (p *plan) state(g Group) *deploymentState {
	d := p.deployment()
	if d == nil {
		return nil
	}
	if d.active() && p.deployed == nil {
		p.deployed = d.copy()
		d = p.deployed
	}
	return d.TaskGroups[g.Name]
}

// copy is a record of the deployment that may be changed until it is stored.
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

// deploy begins the deployment of this version, unless it has one.
func (p *plan) deploy() {
	if p.deployment() != nil {
		p.state(Group{})
		return
	}
	now := time.Now()
	d := &deployment{
		ID:        uuid("deployment", p.j.Namespace, p.j.ID, strconv.FormatUint(p.j.Version, 10), strconv.FormatUint(p.index, 10)),
		Namespace: p.j.Namespace, JobID: p.j.ID, JobVersion: p.j.Version,
		JobModifyIndex: p.j.ModifyIndex, JobSpecModifyIndex: p.j.JobModifyIndex, JobCreateIndex: p.j.CreateIndex,
		Status: "running", StatusDescription: described["running"], EvalPriority: p.j.Priority, CreateIndex: p.index,
		CreateTime: now.UnixNano(), ModifyTime: now.UnixNano(), TaskGroups: map[string]*deploymentState{},
	}
	for _, g := range p.j.groups {
		u := p.j.update(g)
		deadline := u.detail()["ProgressDeadline"].(time.Duration)
		d.TaskGroups[g.Name] = &deploymentState{
			AutoRevert: u.AutoRevert, AutoPromote: u.AutoPromote, DesiredTotal: g.Count, ProgressDeadline: deadline,
			RequireProgressBy: stamp(now.Add(deadline)),
		}
	}
	p.deployed = d
}

// supersede ends the deployments of earlier versions.
func (p *plan) supersede() { p.cancel("Cancelled due to newer version of job", p.j.deployment) }

// cancel ends the active deployments of the job but one.
func (p *plan) cancel(why string, but *deployment) {
	for _, d := range slices.Clone(p.c.deployments) {
		if d.Namespace == p.e.Namespace && d.JobID == p.e.JobID && d.active() && (but == nil || d.ID != but.ID) {
			e := d.copy()
			e.Status, e.StatusDescription = "cancelled", why
			p.c.storeDeployment(e, p.index)
		}
	}
}

// plot notes in the deployment what is placed for it.
func (p *plan) plot() {
	d := p.deployed
	if d == nil {
		return
	}
	for _, a := range p.placed {
		if s := d.TaskGroups[a.TaskGroup]; s != nil && a.DeploymentID == d.ID && a.canary() {
			s.PlacedCanaries = append(s.PlacedCanaries, a.ID)
		}
	}
	p.c.tally(d, append(slices.Clone(p.changed), p.placed...))
	d.describe()
}

// describe says what a running deployment waits for.
func (d *deployment) describe() {
	if d.Status != "running" {
		return
	}
	d.StatusDescription = described["running"]
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

// tally counts what was placed for a deployment; newer are allocations that are not stored yet.
func (c *Cluster) tally(d *deployment, newer []*allocation) {
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
			if t := h.Timestamp; t != nil && s.RequireProgressBy != nil && t.Add(s.ProgressDeadline).After(*s.RequireProgressBy) {
				s.RequireProgressBy = stamp(t.Add(s.ProgressDeadline))
			}
		}
	}
}

// storeDeployment stores a changed copy of a deployment, or a new one, also with the version of the job that it is of.
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
		if d.Status == "successful" && !j.stable {
			j.stable, j.ModifyIndex = true, index
		}
	}
	j.earlier = slices.Clone(j.earlier)
	for i, v := range j.earlier {
		if v.Version == d.JobVersion {
			w := *v
			w.deployment = d
			j.earlier[i] = &w
		}
	}
	c.restate(&j, index)
}
