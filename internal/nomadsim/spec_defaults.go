package nomadsim

import (
	"cmp"
	"slices"
	"time"
)

// fillDefaults fills in the defaults of a description. It does not change values that the caller holds.
func (j *Job) fillDefaults() {
	j.Namespace = cmp.Or(j.Namespace, "default")
	j.Type = cmp.Or(j.Type, "service")
	if j.Submitted.IsZero() {
		j.Submitted = time.Now()
	}
	if j.Version == 0 {
		j.Version = uint64(len(j.Versions))
	}
	parent := j.Periodic != nil || (j.Parameterized != nil && j.ParentID == "")
	if j.Groups = slices.Clone(j.Groups); len(j.Groups) == 0 {
		j.Groups = []Group{{}}
	}
	for i := range j.Groups {
		j.Groups[i].fillDefaults(parent, j.Stopped)
	}
	j.Versions = slices.Clone(j.Versions)
	for i := range j.Versions {
		j.Versions[i].fillEarlier(j, uint64(len(j.Versions)-i))
	}
}

func (g *Group) fillDefaults(parent, stopped bool) {
	g.Name = cmp.Or(g.Name, "main")
	if g.Tasks = slices.Clone(g.Tasks); len(g.Tasks) == 0 {
		g.Tasks = []Task{{Name: g.Name}}
	}
	for i := range g.Tasks {
		g.Tasks[i].fillDefaults()
	}
	queued := 0
	if g.Unplaced != nil {
		u := *g.Unplaced
		u.Queued = max(u.Queued, 1)
		g.Unplaced, queued = &u, u.Queued
	}
	if parent {
		g.Count, g.Allocations = max(g.Count, 1), nil
		return
	}
	if g.Allocations == nil {
		if g.Count == 0 && g.Unplaced == nil {
			g.Count = 1
		}
		g.Allocations = make([]Allocation, max(g.Count-queued, 0))
		for i := range g.Allocations {
			if stopped {
				g.Allocations[i] = Allocation{ClientStatus: "complete", DesiredStatus: "stop"}
			}
		}
	}
	if g.Count == 0 {
		g.Count = len(g.Allocations) + queued
	}
}

func (t *Task) fillDefaults() {
	t.Driver = cmp.Or(t.Driver, "docker")
	if t.CPU == 0 {
		t.CPU = 100
	}
	if t.Memory == 0 {
		t.Memory = 64
	}
	if t.Command != nil && len(t.Command) == 0 {
		panic("nomadsim: empty command of task " + t.Name)
	}
	if t.Config == nil && t.Driver == "docker" {
		t.Config = object{"image": "example/" + t.Name + ":1"}
	} else if t.Config == nil && t.Command != nil {
		t.Config = object{"command": t.Command[0], "args": t.Command[1:]}
	} else if t.Config == nil {
		t.Config = object{"command": "/usr/bin/" + t.Name}
	}
}

func (a *Allocation) fillDefaults(j *job) {
	a.ClientStatus = cmp.Or(a.ClientStatus, "running")
	a.DesiredStatus = cmp.Or(a.DesiredStatus, "run")
	if a.Created.IsZero() {
		a.Created = time.Unix(0, j.versionsBack(a.VersionsBehind).SubmitTime)
	}
	if a.Modified.IsZero() {
		a.Modified = a.Created
	}
}

func (s *TaskState) fillDefaults(a Allocation) {
	if s.State == "" {
		switch a.ClientStatus {
		case "pending", "running":
			s.State = a.ClientStatus
		case "unknown", "lost": // the last reported state
			s.State = "running"
		default:
			s.State = "dead"
			s.Failed = s.Failed || a.ClientStatus == "failed"
		}
	}
	if s.Finished.IsZero() && s.State == "dead" {
		s.Finished = a.Modified
	}
	given := !s.Started.IsZero()
	if s.Events == nil {
		s.Events = s.defaultEvents(a)
	}
	s.Events = slices.Clone(s.Events)
	for i := range s.Events {
		e := &s.Events[i]
		if e.Details == nil {
			e.Details = map[string]string{}
		}
		e.DisplayMessage = cmp.Or(e.DisplayMessage, e.Message, e.DriverError, e.SetupError, e.KillReason)
		if e.Type == "Started" && !given {
			s.Started = time.Unix(0, e.Time)
		}
	}
}

// defaultEvents returns the events of a task without incidents.
func (s *TaskState) defaultEvents(a Allocation) []Event {
	events := []Event{Received(a.Created)}
	if s.State == "pending" {
		return events
	}
	started := s.Started
	if started.IsZero() {
		started = a.Created
	}
	events = append(events, TaskSetup(a.Created), Started(started))
	if s.State == "dead" && s.Failed {
		events = append(events, DockerTerminated(s.Finished, 1, ""), NotRestarting(s.Finished, 2))
	} else if s.State == "dead" {
		events = append(events, DockerTerminated(s.Finished, 0, ""))
	}
	return events
}

// toRecord converts the description of a job to a record that is not planned yet.
func (j *Job) toRecord() *job {
	r := &job{
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

// toRecord converts the description of a task state to a record.
func (s TaskState) toRecord(a Allocation) *taskState {
	s.fillDefaults(a)
	r := &taskState{
		State: s.State, Failed: s.Failed, StartedAt: stamp(s.Started), FinishedAt: stamp(s.Finished), measured: s,
	}
	for _, e := range s.Events {
		if e.Type == "Restarting" {
			r.Restarts++
			r.LastRestart = stamp(time.Unix(0, e.Time))
		}
	}
	r.Restarts = cmp.Or(s.Restarts, r.Restarts)
	r.Events = s.Events[max(len(s.Events)-10, 0):]
	return r
}
