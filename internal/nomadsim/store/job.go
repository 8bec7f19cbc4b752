package store

import (
	"slices"

	"nomadctld/internal/nomadsim/jobspec"
)

// Job is the stored record of one version of a job. The record of the current version also has everything that belongs
// to all versions.
type Job struct {
	jobspec.Registration

	Summary         *summary
	Allocations     []*Allocation // of all versions, by ID
	Evaluations     []*Evaluation // of all versions, by status and ID
	Deployment      *Deployment   // of this version, or nil
	EarlierVersions []*Job        // latest first
	planIndex       uint64        // index of this version's plan
	ScalingEvents   map[string][]ScalingEvent
	knownStable     bool                    // was deployed successfully, or is a copy of a stable version
	collected       map[string]groupSummary // garbage-collected allocations, which the summary still counts
}

// Spec returns the registration of a version, or nil for nil.
func (j *Job) Spec() *jobspec.Registration {
	if j == nil {
		return nil
	}
	return &j.Registration
}

func (j *Job) key() key { return key{namespace: j.Namespace, id: j.ID} }

// status returns the status that Nomad derives for the job.
func (j *Job) status() string {
	switch {
	case j.Stop && !j.HasEvaluation("pending"):
		return "dead"
	case j.Stop:
	case j.Type == "system", j.IsParent():
		return "running"
	case j.Deployment != nil && j.Deployment.Active():
		return "running"
	}
	for _, a := range j.Allocations {
		if !a.Terminal() {
			return "running"
		}
	}
	if j.HasEvaluation("pending") || j.HasEvaluation("blocked") {
		return "pending"
	}
	return "dead"
}

// HasEvaluation reports whether an evaluation of the job has this status.
func (j *Job) HasEvaluation(status string) bool {
	return slices.ContainsFunc(j.Evaluations, func(e *Evaluation) bool { return e.Status == status })
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

// JobStub is a job in a list.
type JobStub struct {
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

// Stub returns the job as it appears in a list.
func (j *Job) Stub(withMeta bool) JobStub {
	s := JobStub{
		ID: j.ID, ParentID: j.ParentID, Name: j.Name, Namespace: j.Namespace,
		Datacenters: j.Datacenters, NodePool: j.NodePool, Type: j.Type, Priority: j.Priority,
		Periodic: j.Periodic != nil, ParameterizedJob: j.ParameterizedJob != nil && !j.Dispatched, Stop: j.Stop,
		Status: j.Status, StatusDescription: j.StatusDescription, JobSummary: j.Summary,
		CreateIndex: j.CreateIndex, ModifyIndex: j.ModifyIndex, JobModifyIndex: j.JobModifyIndex,
		SubmitTime: j.SubmitTime,
	}
	if withMeta {
		s.Meta = j.Meta
	}
	return s
}

// Detail returns the whole version of the job.
func (j *Job) Detail() object {
	all := j.Registration.Detail()
	all["Stable"] = j.IsStable()
	return all
}

// IsStable reports whether this version, or the version it was copied from, was deployed successfully.
func (j *Job) IsStable() bool {
	return j.knownStable || (j.Deployment != nil && j.Deployment.Status == "successful")
}
