package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// jobFile is what the simulation understands of a job that is registered. The rest of it is only kept.
type jobFile struct {
	ID                     *string
	Name, Namespace        string
	Region, Type, NodePool string
	Priority               int
	Datacenters            []string
	Stop                   bool
	Constraints            []constraintFile
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
	Update     *updateFile
	TaskGroups []groupFile
}

type constraintFile struct{ LTarget, RTarget, Operand string }

type updateFile struct {
	MaxParallel                                       *int
	Canary                                            int
	AutoRevert, AutoPromote                           bool
	MinHealthyTime, HealthyDeadline, ProgressDeadline time.Duration
}

type groupFile struct {
	Name          string
	Count         *int
	Constraints   []constraintFile
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
	Update  *updateFile
	Scaling *struct {
		Min, Max int
		Enabled  *bool
	}
	Disconnect *struct {
		LostAfter *time.Duration
		Replace   *bool
	}
	MaxClientDisconnect *time.Duration // the older name of lost_after
	Networks            []networkFile
	Services            []serviceFile
	Tasks               []taskFile
}

type networkFile struct {
	Mode                        string
	DynamicPorts, ReservedPorts []struct {
		Label     string
		Value, To int
	}
}

type serviceFile struct {
	Name, PortLabel, Address, Provider string
	Tags                               []string
	Checks                             []struct {
		Name, Type, PortLabel, Path, OnUpdate string
		Interval, Timeout                     time.Duration
	}
}

type taskFile struct {
	Name, Driver string
	Config       map[string]any
	Env, Meta    map[string]string
	Resources    *struct{ CPU, MemoryMB *int }
	Lifecycle    *struct{ Sidecar bool }
	LogConfig    *struct {
		MaxFiles, MaxFileSizeMB int
		Disabled                bool
	}
	Constraints []constraintFile
	Services    []serviceFile
	Templates   []struct {
		EmbeddedTmpl, SourcePath, DestPath, ChangeMode string
		Envvars                                        bool
	}
}

// parseJob understands a job as it was sent.
func parseJob(raw json.RawMessage) (*jobFile, error) {
	var f *jobFile
	if err := json.Unmarshal(raw, &f); err != nil && raw != nil {
		return nil, failure{http.StatusBadRequest, err.Error()}
	}
	switch {
	case f == nil:
		return nil, failure{http.StatusBadRequest, "Job must be specified"}
	case f.ID == nil:
		return nil, failure{http.StatusBadRequest, "Job ID hasn't been provided"}
	}
	f.Type, f.Name = cmp.Or(f.Type, "service"), cmp.Or(f.Name, *f.ID)
	return f, f.check()
}

// check refuses what Nomad refuses and the simulation would stumble over, all of it at once.
func (f *jobFile) check() error {
	var wrong []string
	if f.Type == "system" {
		for _, g := range f.TaskGroups {
			if g.Scaling != nil {
				return failure{http.StatusBadRequest, "Task groups with job type system do not support scaling blocks"}
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
			wrong = append(wrong, "Task group "+g.Name+" validation failed: "+errorList(inGroup...).Error())
		}
	}
	if p := cmp.Or(f.Priority, defaultPriority); p < lowestPriority || p > highestPriority {
		wrong = append(wrong, fmt.Sprintf("job priority must be between [%d, %d]", lowestPriority, highestPriority))
	}
	if wrong != nil {
		return errorList(wrong...)
	}
	return nil
}

// The priorities of jobs, unless an agent is configured otherwise.
const defaultPriority, lowestPriority, highestPriority = 50, 1, 100

// describe turns the file into a description; trusted lets its programs run as processes.
func (f *jobFile) describe(namespace string, trusted bool) Job {
	j := Job{
		Namespace: namespace, ID: *f.ID, Type: f.Type, Stopped: f.Stop, Meta: f.Meta, ParentID: f.ParentID,
		Constraints: describeConstraints(f.Constraints),
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
		j.Groups = append(j.Groups, g.describe(f, trusted))
	}
	return j
}
