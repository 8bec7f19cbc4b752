package nomadsim

import (
	"cmp"
	"slices"
)

// registration is one version of a job, as it was registered or described. Its exported fields are those that filter
// expressions name.
type registration struct {
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

	groups      []Group
	constraints []Constraint
	extraFields object
	tag         *versionTag

	// The fields below are set by requests, and are zero in a newly described job.
	definition      object                          // without registrationState; nil: the job was described
	submission      object                          // the job file; nil: none was sent
	policyIndexes   map[string]scalingPolicyIndexes // by group; nil: the job was described
	scalingPolicies map[string]scalingPolicy        // of the current version, by group
	tokenID         string                          // accessor of the token that registered it
	payload         any                             // of a dispatched job
	idempotency     string
}

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

// versionTag is the tag of a job version. Nomad does not garbage-collect a tagged version, nor its job.
type versionTag struct {
	Name, Description string
	TaggedTime        int64
}

// isParent reports whether the job is periodic or parameterized and only has child jobs.
func (j *registration) isParent() bool {
	return j.Periodic != nil || (j.ParameterizedJob != nil && !j.Dispatched)
}

// groupNamed returns this version's group with the same name, or the argument if there is none.
func (j *registration) groupNamed(now Group) Group {
	for _, g := range j.groups {
		if g.Name == now.Name {
			return g
		}
	}
	return now
}

func (j *registration) hasGroup(name string) bool {
	return slices.ContainsFunc(j.groups, func(g Group) bool { return g.Name == name })
}

// register returns the first version of a described job, without its indexes.
func (j *Job) register() registration {
	r := registration{
		ID: j.ID, ParentID: j.ParentID, Name: j.ID, Namespace: j.Namespace, Region: "global", Type: j.Type,
		NodePool: "default", Datacenters: []string{"*"}, Priority: defaultPriority, Stop: j.Stopped, Meta: j.Meta,
		Version: j.Version, SubmitTime: j.Submitted.UnixNano(), groups: j.Groups,
		Dispatched: j.ParentID != "" && j.Parameterized != nil, constraints: j.Constraints, extraFields: j.Extra,
	}
	if p := j.Periodic; p != nil {
		r.Periodic = &periodic{
			Enabled: !p.Disabled, ProhibitOverlap: p.ProhibitOverlap, Spec: p.Spec, SpecType: "cron",
			Specs: append([]string{}, p.Specs...), TimeZone: cmp.Or(p.TimeZone, "UTC"),
		}
	}
	if p := j.Parameterized; p != nil {
		r.ParameterizedJob = &parameterized{
			Payload: cmp.Or(p.Payload, "optional"), MetaRequired: p.MetaRequired, MetaOptional: p.MetaOptional,
		}
	}
	return r
}
