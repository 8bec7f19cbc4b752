package jobspec

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// value returns what p points to, or the zero value for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Parse parses and checks a job from a request. Its ID, name, type and namespace are set.
func Parse(raw json.RawMessage) (*api.Job, error) {
	var f *api.Job
	if err := json.Unmarshal(raw, &f); err != nil && raw != nil {
		return nil, BadRequest(err.Error())
	}
	switch {
	case f == nil:
		return nil, BadRequest("Job must be specified")
	case f.ID == nil:
		return nil, BadRequest("Job ID hasn't been provided")
	}
	f.Type, f.Name = new(cmp.Or(value(f.Type), "service")), new(cmp.Or(value(f.Name), *f.ID))
	f.Namespace = new(value(f.Namespace))
	return f, check(f)
}

// check validates the fields that Nomad validates and the simulator uses. A scaling block in a system job is reported
// on its own. All other errors are reported together.
func check(f *api.Job) error {
	var wrong []string
	if *f.Type == "system" {
		for _, g := range f.TaskGroups {
			if g.Scaling != nil {
				return BadRequest("Task groups with job type system do not support scaling blocks")
			}
		}
	}
	if len(f.TaskGroups) == 0 {
		wrong = append(wrong, "Missing job task groups")
	}
	for _, g := range f.TaskGroups {
		var inGroup []string
		if g.Count != nil && *g.Count < 0 {
			inGroup = append(inGroup, "Task group count can't be negative")
		}
		if g.ReschedulePolicy != nil && (*f.Type == "system" || *f.Type == "sysbatch") {
			inGroup = append(inGroup, "System or sysbatch jobs should not have a reschedule policy")
		}
		if len(g.Tasks) == 0 {
			inGroup = append(inGroup, "Missing tasks for task group")
		}
		if inGroup != nil {
			wrong = append(wrong, "Task group "+value(g.Name)+" validation failed: "+ErrorList(inGroup...).Error())
		}
	}
	if p := cmp.Or(value(f.Priority), defaultPriority); p < MinPriority || p > MaxPriority {
		wrong = append(wrong, fmt.Sprintf("job priority must be between [%d, %d]", MinPriority, MaxPriority))
	}
	if wrong != nil {
		return ErrorList(wrong...)
	}
	return nil
}

// Priorities of jobs with the default configuration of an agent.
const defaultPriority, MinPriority, MaxPriority = 50, 1, 100

// toSpec converts the job to a description. If trusted is set, its commands run as processes.
func toSpec(f *api.Job, namespace string, trusted bool) Job {
	j := Job{
		Namespace: namespace, ID: *f.ID, Type: *f.Type, Stopped: value(f.Stop), Meta: f.Meta, ParentID: value(f.ParentID),
		Constraints: toSpecConstraints(f.Constraints),
	}
	if p := f.Periodic; p != nil {
		j.Periodic = &Periodic{
			Spec: value(p.Spec), Specs: p.Specs, TimeZone: value(p.TimeZone), ProhibitOverlap: value(p.ProhibitOverlap),
			Disabled: p.Enabled != nil && !*p.Enabled,
		}
	}
	if p := f.ParameterizedJob; p != nil {
		j.Parameterized = &Parameterized{p.Payload, p.MetaRequired, p.MetaOptional}
	}
	for _, g := range f.TaskGroups {
		j.Groups = append(j.Groups, groupSpec(g, f, trusted))
	}
	return j
}
