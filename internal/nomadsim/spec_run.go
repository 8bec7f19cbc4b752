package nomadsim

import (
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// addJob adds a job in the described state. It returns the allocations of the new job, and of the one that it replaces.
func (st *state) addJob(spec jobspec.Job) (affected []*allocation) {
	if spec.ID == "" {
		panic("nomadsim: a job needs an ID")
	}
	if spec.Submitted.IsZero() {
		spec.Submitted = time.Now()
	}
	spec.FillDefaults()
	st.addNamespace(spec.Namespace, "")
	old := st.job(spec.Namespace, spec.ID)
	var j *job
	for _, v := range append(spec.Versions, spec) {
		j = st.registerVersion(v, j, old)
	}
	if !j.IsParent() {
		for _, g := range j.Groups {
			st.createAllocations(j, g)
		}
		j.describeEvaluations(st.nodes)
		j.addEvaluations(spec.Evaluations)
		j.sort()
		st.reportDescribed(j)
	}
	j.Status = j.status()
	for _, v := range j.earlierVersions {
		v.Status = "running" // as when it was replaced
	}
	affected = j.allocations
	if old != nil {
		st.removeJob(old)
		affected = slices.Concat(old.allocations, affected)
	}
	st.storeDescribed(j)
	return affected
}

// registerVersion stores the next version of a described job and plans it. before is the previous version, and old is
// the job that it replaces in the cluster.
func (st *state) registerVersion(spec jobspec.Job, before, old *job) *job {
	j := &job{Registration: spec.Register()}
	registered := st.nextIndex(tableJobs, tableSummaries, tableEvaluations)
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
		j.planIndex = st.nextIndex(tableAllocations, tableEvaluations, tableDeployments, tableSummaries)
		j.describeDeployment(spec.Deployment, j.planIndex)
	}
	return j
}

// reportDescribed is the last step: the clients report the state of the allocations.
func (st *state) reportDescribed(j *job) {
	reported := st.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments)
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

func (st *state) storeDescribed(j *job) {
	st.jobs = put(st.jobs, j, byName)
	for _, a := range j.allocations {
		st.allocations = put(st.allocations, a, byCreation)
		st.byID[a.ID] = a
	}
	for _, e := range j.evaluations {
		st.evaluations = put(st.evaluations, e, byCreation)
	}
	for _, d := range j.deployments() {
		st.deployments = put(st.deployments, d, byCreation)
	}
	st.countChildren(j.Namespace, j.ParentID)
	if j.IsParent() {
		st.countChildren(j.Namespace, j.ID)
	}
}

// countChildren updates the children in the summary of a parent. The IDs of its children start with its ID.
func (st *state) countChildren(namespace, id string) {
	i, found := find(st.jobs, key{namespace: namespace, id: id}, byName)
	if !found {
		return
	}
	parent, sum := *st.jobs[i], *st.jobs[i].summary
	sum.Children = children{}
	first, _ := find(st.jobs, key{namespace: namespace, id: id + "/"}, byName)
	for _, j := range st.jobs[first:] {
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
	sum.ModifyIndex = st.changedAt[tableSummaries]
	parent.summary = &sum
	st.jobs[i] = &parent
}
