package jobspec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// APIJob contains the fields of a registered job that the simulator uses. The definition keeps the others.
type APIJob struct {
	ID                     *string
	Name, Namespace        string
	Region, Type, NodePool string
	Priority               int
	Datacenters            []string
	Stop                   bool
	Constraints            []apiConstraint
	Meta                   map[string]string
	ParentID               string
	Dispatched             bool
	Periodic               *struct {
		Enabled         *bool
		Spec            string
		Specs           []string
		ProhibitOverlap bool
		TimeZone        string
	}
	ParameterizedJob *struct {
		Payload                    string
		MetaRequired, MetaOptional []string
	}
	Update     *apiUpdate
	TaskGroups []apiGroup
}

type apiConstraint struct{ LTarget, RTarget, Operand string }

type apiUpdate struct {
	MaxParallel                                       *int
	Canary                                            int
	AutoRevert, AutoPromote                           bool
	MinHealthyTime, HealthyDeadline, ProgressDeadline time.Duration
}

type apiGroup struct {
	Name          string
	Count         *int
	Constraints   []apiConstraint
	Meta          map[string]string
	RestartPolicy *struct {
		Attempts        *int
		Interval, Delay *time.Duration
		Mode            string
	}
	ReschedulePolicy *struct {
		Attempts                  int
		Interval, Delay, MaxDelay time.Duration
		DelayFunction             string
		Unlimited                 bool
	}
	Update  *apiUpdate
	Scaling *struct {
		Min, Max int
		Enabled  *bool
	}
	Disconnect *struct {
		LostAfter *time.Duration
		Replace   *bool
	}
	MaxClientDisconnect *time.Duration // the older name of lost_after
	Networks            []apiNetwork
	Services            []apiService
	Tasks               []apiTask
}

type apiNetwork struct {
	Mode                        string
	DynamicPorts, ReservedPorts []struct {
		Label     string
		Value, To int
	}
}

type apiService struct {
	Name, PortLabel, Address, Provider string
	Tags                               []string
	Checks                             []struct {
		Name, Type, PortLabel, Path, OnUpdate string
		Interval, Timeout                     time.Duration
	}
}

type apiTask struct {
	Name, Driver string
	Config       map[string]any
	Env, Meta    map[string]string
	Resources    *struct{ CPU, MemoryMB *int }
	Lifecycle    *struct{ Sidecar bool }
	LogConfig    *struct {
		MaxFiles, MaxFileSizeMB int
		Disabled                bool
	}
	Constraints []apiConstraint
	Services    []apiService
	Templates   []struct {
		EmbeddedTmpl, SourcePath, DestPath, ChangeMode string
		Envvars                                        bool
	}
}

// Parse parses and checks a job from a request.
func Parse(raw json.RawMessage) (*APIJob, error) {
	var f *APIJob
	if err := json.Unmarshal(raw, &f); err != nil && raw != nil {
		return nil, BadRequest(err.Error())
	}
	switch {
	case f == nil:
		return nil, BadRequest("Job must be specified")
	case f.ID == nil:
		return nil, BadRequest("Job ID hasn't been provided")
	}
	f.Type, f.Name = cmp.Or(f.Type, "service"), cmp.Or(f.Name, *f.ID)
	return f, f.check()
}

// check validates the fields that Nomad validates and the simulator uses. A scaling block in a system job is reported
// on its own. All other errors are reported together.
func (f *APIJob) check() error {
	var wrong []string
	if f.Type == "system" {
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
		if g.ReschedulePolicy != nil && (f.Type == "system" || f.Type == "sysbatch") {
			inGroup = append(inGroup, "System or sysbatch jobs should not have a reschedule policy")
		}
		if len(g.Tasks) == 0 {
			inGroup = append(inGroup, "Missing tasks for task group")
		}
		if inGroup != nil {
			wrong = append(wrong, "Task group "+g.Name+" validation failed: "+ErrorList(inGroup...).Error())
		}
	}
	if p := cmp.Or(f.Priority, defaultPriority); p < MinPriority || p > MaxPriority {
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
func (f *APIJob) toSpec(namespace string, trusted bool) Job {
	j := Job{
		Namespace: namespace, ID: *f.ID, Type: f.Type, Stopped: f.Stop, Meta: f.Meta, ParentID: f.ParentID,
		Constraints: toSpecConstraints(f.Constraints),
	}
	if p := f.Periodic; p != nil {
		j.Periodic = &Periodic{
			Spec: p.Spec, Specs: p.Specs, TimeZone: p.TimeZone, ProhibitOverlap: p.ProhibitOverlap,
			Disabled: p.Enabled != nil && !*p.Enabled,
		}
	}
	if p := f.ParameterizedJob; p != nil {
		j.Parameterized = &Parameterized{p.Payload, p.MetaRequired, p.MetaOptional}
	}
	for _, g := range f.TaskGroups {
		j.Groups = append(j.Groups, g.toSpec(f, trusted))
	}
	return j
}
