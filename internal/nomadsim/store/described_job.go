package store

import (
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// AddJob adds a job in the described state. It returns the allocations of the new job, and of the one that it replaces.
func (st *State) AddJob(spec jobspec.Job) (affected []*Allocation) {
	if spec.ID == "" {
		panic("nomadsim: a job needs an ID")
	}
	if spec.Submitted.IsZero() {
		spec.Submitted = time.Now()
	}
	spec.FillDefaults()
	st.AddNamespace(spec.Namespace, "")
	old := st.Job(spec.Namespace, spec.ID)
	var j *Job
	for _, v := range append(spec.Versions, spec) {
		j = st.registerVersion(v, j, old)
	}
	if !j.IsParent() {
		for _, g := range j.Groups {
			st.createAllocations(j, g)
		}
		j.describeEvaluations(st.Nodes)
		j.addEvaluations(spec.Evaluations)
		j.sort()
		st.reportDescribed(j)
	}
	j.Status = j.status()
	for _, v := range j.EarlierVersions {
		v.Status = "running" // as when it was replaced
	}
	affected = j.Allocations
	if old != nil {
		st.removeJob(old)
		affected = slices.Concat(old.Allocations, affected)
	}
	st.storeDescribed(j)
	return affected
}

// registerVersion creates the record of the next version of a described job, with its indexes and its deployment.
// before is the previous version, and old is the job that it replaces in the cluster.
func (st *State) registerVersion(spec jobspec.Job, before, old *Job) *Job {
	j := &Job{Registration: spec.Register()}
	registered := st.NextIndex(TableJobs, TableSummaries, TableEvaluations)
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex = registered, registered, registered
	switch {
	case before != nil:
		j.CreateIndex, j.EarlierVersions = before.CreateIndex, before.Versions()
	case old != nil:
		j.CreateIndex = old.CreateIndex
	}
	j.Summary = &summary{
		JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*groupSummary{},
		CreateIndex: j.CreateIndex, ModifyIndex: registered,
	}
	for _, g := range j.Groups {
		j.Summary.Summary[g.Name] = &groupSummary{}
	}
	if !j.IsParent() {
		j.planIndex = st.NextIndex(TableAllocations, TableEvaluations, TableDeployments, TableSummaries)
		j.describeDeployment(spec.Deployment, j.planIndex)
	}
	return j
}

// reportDescribed updates the records as if the clients had reported the state of the allocations. AddJob calls it
// last.
func (st *State) reportDescribed(j *Job) {
	reported := st.NextIndex(TableJobs, TableSummaries, TableAllocations, TableDeployments)
	j.ModifyIndex, j.Summary.ModifyIndex = reported, reported
	for _, a := range j.Allocations {
		a.ModifyIndex = reported
		if a.DeploymentStatus != nil {
			a.DeploymentStatus.ModifyIndex = reported
		}
	}
	for _, v := range j.Versions() {
		if v.Deployment != nil {
			v.Deployment.countHealth(v, j.Allocations, reported)
		}
	}
}

func (st *State) storeDescribed(j *Job) {
	st.Jobs = put(st.Jobs, j, byName)
	for _, a := range j.Allocations {
		st.Allocations = put(st.Allocations, a, byCreation)
		st.byID[a.ID] = a
	}
	for _, e := range j.Evaluations {
		st.Evaluations = put(st.Evaluations, e, byCreation)
	}
	for _, d := range j.Deployments() {
		st.Deployments = put(st.Deployments, d, byCreation)
	}
	st.countChildren(j.Namespace, j.ParentID)
	if j.IsParent() {
		st.countChildren(j.Namespace, j.ID)
	}
}

// countChildren updates the children in the summary of a parent. The IDs of its children start with its ID.
func (st *State) countChildren(namespace, id string) {
	i, found := find(st.Jobs, key{namespace: namespace, id: id}, byName)
	if !found {
		return
	}
	parent, sum := *st.Jobs[i], *st.Jobs[i].Summary
	sum.Children = children{}
	first, _ := find(st.Jobs, key{namespace: namespace, id: id + "/"}, byName)
	for _, j := range st.Jobs[first:] {
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
	sum.ModifyIndex = st.changedAt[TableSummaries]
	parent.Summary = &sum
	st.Jobs[i] = &parent
}
