package jobspec

import (
	"cmp"
	"slices"
)

// Registration is one version of a job, as it was registered or described. The fields to which filters refer have
// Nomad's names.
type Registration struct {
	ID, ParentID, Name, Namespace, Region    string
	Type, NodePool                           string
	Datacenters                              []string
	Priority                                 int
	Periodic                                 *PeriodicJob
	ParameterizedJob                         *ParameterizedJob
	Dispatched, Stop                         bool
	Status, StatusDescription                string
	Meta                                     map[string]string
	Version                                  uint64
	CreateIndex, ModifyIndex, JobModifyIndex uint64
	SubmitTime                               int64

	Groups      []Group
	Constraints []Constraint
	Extra       object
	Tag         *VersionTag

	// The fields below are set by requests, and are zero in a newly described job.
	definition      object                          // without registrationState; nil: the job was described
	Submission      object                          // the job file; nil: none was sent
	policyIndexes   map[string]scalingPolicyIndexes // by group; nil: the job was described
	scalingPolicies map[string]scalingPolicy        // of the current version, by group
	TokenID         string                          // accessor of the token that registered it
	Payload         any                             // of a dispatched job
	Idempotency     string
}

// PeriodicJob is a periodic block in Nomad's format.
type PeriodicJob struct {
	Enabled         bool
	ProhibitOverlap bool
	Spec, SpecType  string
	Specs           []string
	TimeZone        string
}

// ParameterizedJob is a parameterized block in Nomad's format.
type ParameterizedJob struct {
	MetaOptional, MetaRequired []string
	Payload                    string
}

// VersionTag is the tag of a job version. Nomad does not garbage-collect a tagged version, nor its job.
type VersionTag struct {
	Name, Description string
	TaggedTime        int64
}

// IsParent reports whether the job is periodic or parameterized and only has child jobs.
func (j *Registration) IsParent() bool {
	return j.Periodic != nil || (j.ParameterizedJob != nil && !j.Dispatched)
}

// GroupNamed returns this version's group with the same name, or the argument if there is none.
func (j *Registration) GroupNamed(g Group) Group {
	for _, own := range j.Groups {
		if own.Name == g.Name {
			return own
		}
	}
	return g
}

// HasGroup reports whether the version has a group with this name.
func (j *Registration) HasGroup(name string) bool {
	return slices.ContainsFunc(j.Groups, func(g Group) bool { return g.Name == name })
}

// Register returns the first version of a described job, without its indexes.
func (j *Job) Register() Registration {
	r := Registration{
		ID: j.ID, ParentID: j.ParentID, Name: j.ID, Namespace: j.Namespace, Region: "global", Type: j.Type,
		NodePool: "default", Datacenters: []string{"*"}, Priority: defaultPriority, Stop: j.Stopped, Meta: j.Meta,
		Version: j.Version, SubmitTime: j.Submitted.UnixNano(), Groups: j.Groups,
		Dispatched: j.ParentID != "" && j.Parameterized != nil, Constraints: j.Constraints, Extra: j.Extra,
	}
	if p := j.Periodic; p != nil {
		r.Periodic = &PeriodicJob{
			Enabled: !p.Disabled, ProhibitOverlap: p.ProhibitOverlap, Spec: p.Spec, SpecType: "cron",
			Specs: append([]string{}, p.Specs...), TimeZone: cmp.Or(p.TimeZone, "UTC"),
		}
	}
	if p := j.Parameterized; p != nil {
		r.ParameterizedJob = &ParameterizedJob{
			Payload: cmp.Or(p.Payload, "optional"), MetaRequired: p.MetaRequired, MetaOptional: p.MetaOptional,
		}
	}
	return r
}
