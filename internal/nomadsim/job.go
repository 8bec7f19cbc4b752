package nomadsim

import "slices"

// job is the stored record of one version of a job. The record of the current version also has everything that belongs
// to all versions.
type job struct {
	ID, ParentID, Name, Namespace, Region    string
	Type, NodePool                           string
	Datacenters                              []string
	Priority                                 int
	Periodic                                 *periodic
	ParameterizedJob                         *parameterized
	Dispatched, Stop                         bool
	Status, StatusDescription                string
	Meta                                     map[string]string
	Version                                  uint64
	CreateIndex, ModifyIndex, JobModifyIndex uint64
	SubmitTime                               int64

	groups          []Group
	constraints     []Constraint
	extraFields     object
	summary         *summary
	allocations     []*allocation // of all versions, by ID
	evaluations     []*evaluation // of all versions, by status and ID
	deployment      *deployment   // of this version, or nil
	earlierVersions []*job        // latest first
	planIndex       uint64        // index of this version's plan

	// The fields below are set by requests and by the scheduler, and are zero in a newly described job.
	definition      object // without registrationState; nil: the job was described
	submission      object // the job file; nil: none was sent
	scalingEvents   map[string][]scalingEvent
	policyIndexes   map[string]scalingPolicyIndexes // by group; nil: the job was described
	scalingPolicies map[string]scalingPolicy        // of the current version, by group
	knownStable     bool                            // was deployed successfully, or is a copy of a stable version
	tag             *versionTag
	collected       map[string]groupSummary // garbage-collected allocations, which the summary still counts
	tokenID         string                  // accessor of the token that registered it
	payload         any                     // of a dispatched job
	idempotency     string
}

func (j *job) key() key { return key{namespace: j.Namespace, id: j.ID} }

type periodic struct {
	Enabled         bool
	ProhibitOverlap bool
	Spec, SpecType  string
	Specs           []string
	TimeZone        string
}

type parameterized struct {
	MetaOptional, MetaRequired []string
	Payload                    string
}

// isParent reports whether the job is periodic or parameterized and only has child jobs.
func (j *job) isParent() bool {
	return j.Periodic != nil || (j.ParameterizedJob != nil && !j.Dispatched)
}

// status returns the status that Nomad derives for the job.
func (j *job) status() string {
	switch {
	case j.Stop && !j.hasEvaluation("pending"):
		return "dead"
	case j.Stop:
	case j.Type == "system", j.isParent():
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
