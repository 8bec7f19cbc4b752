package nomadsim

import (
	"slices"

	"nomadctld/internal/nomadsim/jobspec"
)

// job is the stored record of one version of a job. The record of the current version also has everything that belongs
// to all versions.
type job struct {
	jobspec.Registration

	summary         *summary
	allocations     []*allocation // of all versions, by ID
	evaluations     []*evaluation // of all versions, by status and ID
	deployment      *deployment   // of this version, or nil
	earlierVersions []*job        // latest first
	planIndex       uint64        // index of this version's plan
	scalingEvents   map[string][]scalingEvent
	knownStable     bool                    // a copy of a stable version
	collected       map[string]groupSummary // garbage-collected allocations, which the summary still counts
}

// spec returns the registration of a version, or nil for nil.
func (j *job) spec() *jobspec.Registration {
	if j == nil {
		return nil
	}
	return &j.Registration
}

func (j *job) key() key { return key{namespace: j.Namespace, id: j.ID} }

// status returns the status that Nomad derives for the job.
func (j *job) status() string {
	switch {
	case j.Stop && !j.hasEvaluation("pending"):
		return "dead"
	case j.Stop:
	case j.Type == "system", j.IsParent():
		return "running"
	case j.deployment != nil && j.deployment.active():
		return "running"
	}
	for _, a := range j.allocations {
		if !a.terminal() {
			return "running"
		}
	}
	if j.hasEvaluation("pending") || j.hasEvaluation("blocked") {
		return "pending"
	}
	return "dead"
}

// hasEvaluation reports whether an evaluation of the job has this status.
func (j *job) hasEvaluation(status string) bool {
	return slices.ContainsFunc(j.evaluations, func(e *evaluation) bool { return e.Status == status })
}

// summary counts the allocations of a job by group, and its children.
type summary struct {
	JobID, Namespace         string
	Children                 children
	Summary                  map[string]*groupSummary
	CreateIndex, ModifyIndex uint64
}

type groupSummary struct{ Complete, Failed, Lost, Queued, Running, Starting, Unknown int }

func (t *groupSummary) add(clientStatus string) {
	switch clientStatus {
	case "complete":
		t.Complete++
	case "failed":
		t.Failed++
	case "lost":
		t.Lost++
	case "running":
		t.Running++
	case "pending":
		t.Starting++
	case "unknown":
		t.Unknown++
	}
}

// jobStub is a job in a list.
type jobStub struct {
	ID, ParentID, Name, Namespace            string
	Datacenters                              []string
	NodePool                                 string
	Multiregion                              *struct{}
	Type                                     string
	Priority                                 int
	Periodic, ParameterizedJob, Stop         bool
	Status, StatusDescription                string
	JobSummary                               *summary
	CreateIndex, ModifyIndex, JobModifyIndex uint64
	SubmitTime                               int64
	Meta                                     map[string]string `json:",omitempty"`
}

func (j *job) stub(withMeta bool) jobStub {
	s := jobStub{
		ID: j.ID, ParentID: j.ParentID, Name: j.Name, Namespace: j.Namespace,
		Datacenters: j.Datacenters, NodePool: j.NodePool, Type: j.Type, Priority: j.Priority,
		Periodic: j.Periodic != nil, ParameterizedJob: j.ParameterizedJob != nil && !j.Dispatched, Stop: j.Stop,
		Status: j.Status, StatusDescription: j.StatusDescription, JobSummary: j.summary,
		CreateIndex: j.CreateIndex, ModifyIndex: j.ModifyIndex, JobModifyIndex: j.JobModifyIndex,
		SubmitTime: j.SubmitTime,
	}
	if withMeta {
		s.Meta = j.Meta
	}
	return s
}

// detail returns the whole version of the job.
func (j *job) detail() object {
	all := j.Registration.Detail()
	all["Stable"] = j.isStable()
	return all
}

// isStable reports whether this version, or the version it was copied from, was deployed successfully.
func (j *job) isStable() bool {
	return j.knownStable || (j.deployment != nil && j.deployment.Status == "successful")
}
