package nomadsim

import (
	"cmp"
	"slices"
	"strings"
)

// AddJob adds a job to the cluster in the described state. The index advances as in a real cluster: each version is
// registered and planned, failed allocations are rescheduled, and clients report. A job with the same namespace and ID
// is replaced, and keeps its CreateIndex. So do allocations with the same ID. Namespaces and nodes are added if they
// are missing. Tasks with a Command are started if they are described as running, and the other processes of the job
// that it replaces are killed. The caller must not change the maps of the description after the call.
func (c *Cluster) AddJob(spec Job) { waitForExit(c.addJob(spec)) }

func (c *Cluster) addJob(spec Job) (ending []*taskRunner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spec.ID == "" {
		panic("nomadsim: a job needs an ID")
	}
	spec.fillDefaults()
	c.addNamespace(spec.Namespace, "")
	old := c.job(spec.Namespace, spec.ID)
	var j *job
	for _, v := range append(spec.Versions, spec) {
		j = c.registerVersion(v, j, old)
	}
	if !j.isParent() {
		for _, g := range j.groups {
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

// registerVersion creates the record of the next version of a described job, with its indexes and its deployment.
// before is the previous version, and old is the job that it replaces in the cluster.
func (c *Cluster) registerVersion(spec Job, before, old *job) *job {
	j := spec.toRecord()
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
	for _, g := range j.groups {
		j.summary.Summary[g.Name] = &groupSummary{}
	}
	if !j.isParent() {
		j.planIndex = c.nextIndex(tableAllocations, tableEvaluations, tableDeployments, tableSummaries)
		j.describeDeployment(spec.Deployment, j.planIndex)
	}
	return j
}

// reportDescribed updates the records as if the clients had reported the state of the allocations. addJob calls it
// last.
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

// Purge deletes a job with all its records, if it exists, and kills its processes.
func (c *Cluster) Purge(namespace, id string) { waitForExit(c.purge(namespace, id)) }

func (c *Cluster) purge(namespace, id string) []*taskRunner {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.job(namespace, id)
	if j == nil {
		return nil
	}
	c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments)
	c.removeJob(j)
	c.countChildren(namespace, j.ParentID)
	return c.syncProcesses(j.allocations)
}

func (c *Cluster) job(namespace, id string) *job {
	if i, found := find(c.jobs, key{namespace: namespace, id: id}, byName); found {
		return c.jobs[i]
	}
	return nil
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
	if j.isParent() {
		c.countChildren(j.Namespace, j.ID)
	}
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
