package nomadsim

import (
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

func (c *Cluster) addJob(spec jobspec.Job) (ending []*taskRunner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spec.ID == "" {
		panic("nomadsim: a job needs an ID")
	}
	if spec.Submitted.IsZero() {
		spec.Submitted = time.Now()
	}
	spec.FillDefaults()
	c.addNamespace(spec.Namespace, "")
	old := c.job(spec.Namespace, spec.ID)
	var j *job
	for _, v := range append(spec.Versions, spec) {
		j = c.registerVersion(v, j, old)
	}
	if !j.IsParent() {
		for _, g := range j.Groups {
			c.createAllocations(j, g)
		}
		j.describeEvaluations(c.nodes)
		j.addEvaluations(spec.Evaluations)
		j.sort()
		c.reportDescribed(j)
	}
	j.Status = j.status()
	for _, v := range j.earlierVersions {
		v.Status = "running" // as when it was replaced
	}
	affected := j.allocations
	if old != nil {
		c.removeJob(old)
		affected = slices.Concat(old.allocations, affected)
	}
	c.storeDescribed(j)
	return c.syncProcesses(affected)
}

// registerVersion stores the next version of a described job and plans it. before is the previous version, and old is
// the job that it replaces in the cluster.
func (c *Cluster) registerVersion(spec jobspec.Job, before, old *job) *job {
	j := &job{Registration: spec.Register()}
	registered := c.nextIndex(tableJobs, tableSummaries, tableEvaluations)
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex = registered, registered, registered
	switch {
	case before != nil:
		j.CreateIndex, j.earlierVersions = before.CreateIndex, before.versions()
	case old != nil:
		j.CreateIndex = old.CreateIndex
	}
	j.summary = &summary{
		JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*groupSummary{},
		CreateIndex: j.CreateIndex, ModifyIndex: registered,
	}
	for _, g := range j.Groups {
		j.summary.Summary[g.Name] = &groupSummary{}
	}
	if !j.IsParent() {
		j.planIndex = c.nextIndex(tableAllocations, tableEvaluations, tableDeployments, tableSummaries)
		j.describeDeployment(spec.Deployment, j.planIndex)
	}
	return j
}

// reportDescribed is the last step: the clients report the state of the allocations.
func (c *Cluster) reportDescribed(j *job) {
	reported := c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments)
	j.ModifyIndex, j.summary.ModifyIndex = reported, reported
	for _, a := range j.allocations {
		a.ModifyIndex = reported
		if a.DeploymentStatus != nil {
			a.DeploymentStatus.ModifyIndex = reported
		}
	}
	for _, v := range j.versions() {
		if v.deployment != nil {
			v.deployment.countHealth(v, j.allocations, reported)
		}
	}
}

func (c *Cluster) storeDescribed(j *job) {
	c.jobs = put(c.jobs, j, byName)
	for _, a := range j.allocations {
		c.allocations = put(c.allocations, a, byCreation)
		c.allocationByID[a.ID] = a
	}
	for _, e := range j.evaluations {
		c.evaluations = put(c.evaluations, e, byCreation)
	}
	for _, d := range j.deployments() {
		c.deployments = put(c.deployments, d, byCreation)
	}
	c.countChildren(j.Namespace, j.ParentID)
	if j.IsParent() {
		c.countChildren(j.Namespace, j.ID)
	}
}

// countChildren updates the children in the summary of a parent. The IDs of its children start with its ID.
func (c *Cluster) countChildren(namespace, id string) {
	i, found := find(c.jobs, key{namespace: namespace, id: id}, byName)
	if !found {
		return
	}
	parent, sum := *c.jobs[i], *c.jobs[i].summary
	sum.Children = children{}
	first, _ := find(c.jobs, key{namespace: namespace, id: id + "/"}, byName)
	for _, j := range c.jobs[first:] {
		if j.Namespace != namespace || !strings.HasPrefix(j.ID, id+"/") {
			break
		}
		switch {
		case j.ParentID != id:
		case j.Status == "dead":
			sum.Children.Dead++
		case j.Status == "pending":
			sum.Children.Pending++
		default:
			sum.Children.Running++
		}
	}
	sum.ModifyIndex = c.changedAt[tableSummaries]
	parent.summary = &sum
	c.jobs[i] = &parent
}
