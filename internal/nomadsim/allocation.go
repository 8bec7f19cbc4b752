package nomadsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// allocation is the stored record of an allocation.
type allocation struct {
	ID, Namespace, EvalID, Name        string
	NodeID, NodeName, JobID, TaskGroup string
	ClientStatus, ClientDescription    string
	DesiredStatus, DesiredDescription  string
	DesiredTransition                  desiredTransition
	DeploymentStatus                   *allocHealth
	FollowupEvalID, NextAllocation     string
	RescheduleTracker                  *rescheduleTracker
	PreemptedAllocations               []string
	PreemptedByAllocation              string
	TaskStates                         map[string]*taskState
	CreateIndex, ModifyIndex           uint64
	CreateTime, ModifyTime             int64

	Job                *job   `json:"-"` // the job version of the allocation
	DeploymentID       string `json:"-"`
	PreviousAllocation string `json:"-"`
	group              jobspec.Group
	node               *node // at the time of the placement
	failingChecks      map[string]jobspec.CheckFailure
	scheduled          bool // created by the scheduler, not by a description
	replaceNow         bool // failed or unknown, and to be replaced now
	statusHistory      []allocState
	planIndex          uint64 // index of the last plan that changed it; 0: the plan that created it
}

func (a *allocation) key() key { return key{a.Namespace, a.ID, a.CreateIndex} }

func (a *allocation) terminal() bool {
	return a.DesiredStatus != "run" || a.ClientStatus == "complete" || a.ClientStatus == "failed" ||
		a.ClientStatus == "lost"
}

type desiredTransition struct {
	ForceReschedule, Migrate, MigrateDisablePlacement, NoShutdownDelay, Reschedule *bool
}

// allocHealth is the health of an allocation in its deployment.
type allocHealth struct {
	Canary      bool
	Healthy     *bool
	ModifyIndex uint64
	Timestamp   *time.Time
}

type taskState struct {
	State       string
	Failed      bool
	StartedAt   *time.Time
	FinishedAt  *time.Time
	LastRestart *time.Time
	Restarts    uint64
	Paused      string
	Events      []jobspec.Event

	measured jobspec.TaskState // the resource usage that the client reports
}

// allocationStub is an allocation in a list. Its TaskStates hide those of the record, because they are optional.
type allocationStub struct {
	*allocation
	JobType            string
	JobVersion         uint64
	TaskStates         map[string]*taskState
	AllocatedResources object `json:",omitempty"`
}

func (a *allocation) stub(states, withResources bool) allocationStub {
	s := allocationStub{allocation: a, JobType: a.Job.Type, JobVersion: a.Job.Version}
	if states {
		s.TaskStates = a.TaskStates
	}
	if withResources {
		s.AllocatedResources = a.allocatedResources()
	}
	return s
}

// allocatedResources returns the resources that the scheduler assigned.
func (a *allocation) allocatedResources() object {
	lifecycles, tasks := object{}, object{}
	for _, t := range a.group.Tasks {
		lifecycles[t.Name] = t.Lifecycle()
		tasks[t.Name] = object{
			"Cpu":     object{"CpuShares": t.CPU, "ReservedCores": nil},
			"Memory":  object{"MemoryMB": t.Memory, "MemoryMaxMB": 0},
			"Devices": nil, "Networks": nil,
		}
	}
	return object{
		"Shared":         object{"DiskMB": jobspec.DiskMB, "Networks": a.assignedNetworks(), "Ports": a.assignedPorts()},
		"TaskLifecycles": lifecycles, "Tasks": tasks,
	}
}

// detail returns the whole allocation. Unlike in lists, Nomad omits empty fields here.
func (a *allocation) detail() object {
	perTask, cpu, memory := object{}, 0, 0
	for _, t := range a.group.Tasks {
		perTask[t.Name] = jobspec.Resources(t.CPU, t.Memory, 0, 0)
		cpu += t.CPU
		memory += t.Memory
	}
	placed := *a.Job // the job at the time of the placement
	placed.Status, placed.ModifyIndex, placed.deployment = "pending", a.Job.JobModifyIndex, nil
	whole, shared := jobspec.Resources(cpu, memory, memory, jobspec.DiskMB), jobspec.Resources(0, 0, 0, jobspec.DiskMB)
	whole["Networks"], shared["Networks"] = a.assignedNetworks(), a.assignedNetworks()
	d := object{
		"ID": a.ID, "Namespace": a.Namespace, "EvalID": a.EvalID, "Name": a.Name, "NodeID": a.NodeID,
		"NodeName": a.NodeName, "JobID": a.JobID, "Job": placed.detail(), "TaskGroup": a.TaskGroup,
		"ClientStatus": a.ClientStatus, "ClientDescription": a.ClientDescription, "DesiredStatus": a.DesiredStatus,
		"TaskStates": a.TaskStates, "AllocatedResources": a.allocatedResources(), "TaskResources": perTask,
		"Resources": whole, "SharedResources": shared,
		"NetworkStatus": object{"Address": "", "AddressIPv6": "", "DNS": nil, "InterfaceName": ""},
		"SigningKeyID":  jobspec.UUID("signing key"),
		"Metrics":       a.node.metrics(),
		"CreateIndex":   a.CreateIndex, "ModifyIndex": a.ModifyIndex, "AllocModifyIndex": max(a.CreateIndex, a.planIndex),
		"CreateTime": a.CreateTime, "ModifyTime": a.ModifyTime,
	}
	if a.DesiredDescription != "" {
		d["DesiredDescription"] = a.DesiredDescription
	}
	if a.DesiredTransition != (desiredTransition{}) {
		d["DesiredTransition"] = a.DesiredTransition
	}
	if len(a.statusHistory) > 0 {
		d["AllocStates"] = a.statusHistory
	}
	if a.DeploymentID != "" {
		d["DeploymentID"] = a.DeploymentID
	}
	if a.DeploymentStatus != nil {
		d["DeploymentStatus"] = a.DeploymentStatus
	}
	for name, id := range map[string]string{
		"PreviousAllocation": a.PreviousAllocation, "NextAllocation": a.NextAllocation, "FollowupEvalID": a.FollowupEvalID,
	} {
		if id != "" {
			d[name] = id
		}
	}
	if a.RescheduleTracker != nil {
		d["RescheduleTracker"] = a.RescheduleTracker
	}
	return d
}

// allocState is a recorded change of an allocation's status.
type allocState struct {
	Field int // 0: the client status
	Value string
	Time  time.Time
}

// canDisconnect reports whether an allocation may become unknown when its client disconnects.
func (a *allocation) canDisconnect() bool {
	return a.group.Disconnect != nil && a.group.Disconnect.LostAfter > 0 && a.DesiredStatus == "run" &&
		!a.disconnectExpired()
}

// disconnectExpired reports whether an allocation was unknown for longer than its group permits.
func (a *allocation) disconnectExpired() bool {
	if a.ClientStatus != "unknown" || len(a.statusHistory) == 0 {
		return false
	}
	var after time.Duration
	if d := a.group.Disconnect; d != nil {
		after = d.LostAfter
	}
	return !time.Now().Before(a.statusHistory[len(a.statusHistory)-1].Time.Add(after))
}

// canReschedule reports whether the reschedule policy permits a replacement of the failed allocation.
func (a *allocation) canReschedule() bool {
	r := a.group.Reschedule
	switch {
	case r == nil:
		return a.Job.Type == "service" || a.rescheduleCount() < 1
	case r.Unlimited:
		return true
	}
	return a.rescheduleCount() < r.Attempts
}

// index returns the index in the allocation's name.
func (a *allocation) index() int {
	n, _ := strconv.Atoi(strings.TrimSuffix(a.Name[strings.LastIndex(a.Name, "[")+1:], "]"))
	return n
}

func (a *allocation) isCanary() bool { return a.DeploymentStatus != nil && a.DeploymentStatus.Canary }

func (a *allocation) isHealthy() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && *a.DeploymentStatus.Healthy
}

func (a *allocation) hasHealth() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil
}

// allocation returns an allocation by its full ID, or nil if there is none.
func (st *state) allocation(id string) (*allocation, error) {
	if _, err := uuidDigits(id, true); err != nil {
		return nil, fmt.Errorf("alloc lookup failed: index error: %w", err)
	}
	return st.allocationByID(strings.ToLower(id)), nil
}

// task returns a task of the allocation by name.
func (a *allocation) task(name string) (jobspec.Task, bool) {
	for _, t := range a.group.Tasks {
		if t.Name == name {
			return t, true
		}
	}
	return jobspec.Task{}, false
}

// allocationByID returns an allocation, or nil if there is none.
func (st *state) allocationByID(id string) *allocation { return st.byID[id] }
