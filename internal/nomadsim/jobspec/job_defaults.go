package jobspec

import (
	"cmp"
	"slices"
	"time"
)

// FillDefaults fills in the defaults of a description. It does not change values that the caller holds.
func (j *Job) FillDefaults() {
	j.Namespace = cmp.Or(j.Namespace, "default")
	j.Type = cmp.Or(j.Type, "service")
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

// FillDefaults fills in the defaults of a task state in this allocation.
func (s *TaskState) FillDefaults(a Allocation) {
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

// fillEarlier fills in j as an earlier version of a job.
func (j *Job) fillEarlier(current *Job, versionsBehind uint64) {
	j.Namespace, j.ID, j.Type, j.ParentID, j.Stopped = current.Namespace, current.ID, current.Type, current.ParentID, false
	j.Version, j.Versions, j.Evaluations = current.Version-versionsBehind, nil, nil
	if j.Submitted.IsZero() {
		j.Submitted = current.Submitted
	}
	j.FillDefaults()
	for i := range j.Groups {
		g := &j.Groups[i]
		g.Count, g.Allocations, g.Unplaced = max(g.Count, 1), nil, nil
	}
}

// PreviousWithDefaults returns the description of the previous allocation, with defaults for an allocation that was
// replaced.
func (a Allocation) PreviousWithDefaults() Allocation {
	p := *a.Previous
	p.DesiredStatus = cmp.Or(p.DesiredStatus, "stop")
	if p.VersionsBehind == a.VersionsBehind {
		p.ClientStatus = cmp.Or(p.ClientStatus, "failed")
	} else {
		p.ClientStatus = cmp.Or(p.ClientStatus, "complete")
		p.DesiredDescription = cmp.Or(p.DesiredDescription, DescUpdating)
	}
	return p
}

// DescUpdating is Nomad's description of an allocation that is replaced by a later job version.
const DescUpdating = "alloc is being updated due to job update"
