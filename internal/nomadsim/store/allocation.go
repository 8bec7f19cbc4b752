package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// Allocation is the stored record of an allocation.
type Allocation struct {
	ID, Namespace, EvalID, Name        string
	NodeID, NodeName, JobID, TaskGroup string
	ClientStatus, ClientDescription    string
	DesiredStatus, DesiredDescription  string
	DesiredTransition                  DesiredTransition
	DeploymentStatus                   *AllocHealth
	FollowupEvalID, NextAllocation     string
	RescheduleTracker                  *RescheduleTracker
	PreemptedAllocations               []string
	PreemptedByAllocation              string
	TaskStates                         map[string]*TaskState
	CreateIndex, ModifyIndex           uint64
	CreateTime, ModifyTime             int64

	// Nomad omits the fields below in lists.
	Job                *Job                            `json:"-"` // the job version of the allocation
	DeploymentID       string                          `json:"-"`
	PreviousAllocation string                          `json:"-"`
	Group              jobspec.Group                   `json:"-"`
	Node               *Node                           `json:"-"` // at the time of the placement
	FailingChecks      map[string]jobspec.CheckFailure `json:"-"`
	Scheduled          bool                            `json:"-"` // created by the scheduler, not by a description
	ReplaceNow         bool                            `json:"-"` // failed or unknown, and to be replaced now
	StatusHistory      []AllocState                    `json:"-"`
	PlanIndex          uint64                          `json:"-"` // of the last plan that changed it; 0: none
}

func (a *Allocation) key() key { return key{a.Namespace, a.ID, a.CreateIndex} }

// Terminal reports whether the allocation has stopped or is to be stopped.
func (a *Allocation) Terminal() bool {
	return a.DesiredStatus != "run" || a.ClientStatus == "complete" || a.ClientStatus == "failed" ||
		a.ClientStatus == "lost"
}

// DesiredTransition is what a request wants to happen to an allocation.
type DesiredTransition struct {
	ForceReschedule, Migrate, MigrateDisablePlacement, NoShutdownDelay, Reschedule *bool
}

// AllocHealth is the health of an allocation in its deployment.
type AllocHealth struct {
	Canary      bool
	Healthy     *bool
	ModifyIndex uint64
	Timestamp   *time.Time
}

// TaskState is the record of a task in an allocation.
type TaskState struct {
	State       string
	Failed      bool
	StartedAt   *time.Time
	FinishedAt  *time.Time
	LastRestart *time.Time
	Restarts    uint64
	Paused      string
	Events      []jobspec.Event

	Measured jobspec.TaskState `json:"-"` // the resource usage that the client reports
}

// AllocationStub is an allocation in a list. Its TaskStates hide those of the record, because they are optional.
type AllocationStub struct {
	*Allocation
	JobType            string
	JobVersion         uint64
	TaskStates         map[string]*TaskState
	AllocatedResources object `json:",omitempty"`
}

// Stub returns the allocation as it appears in a list.
func (a *Allocation) Stub(states, withResources bool) AllocationStub {
	s := AllocationStub{Allocation: a, JobType: a.Job.Type, JobVersion: a.Job.Version}
	if states {
		s.TaskStates = a.TaskStates
	}
	if withResources {
		s.AllocatedResources = a.allocatedResources()
	}
	return s
}

// allocatedResources returns the resources that the scheduler assigned.
func (a *Allocation) allocatedResources() object {
	lifecycles, tasks := object{}, object{}
	for _, t := range a.Group.Tasks {
		lifecycles[t.Name] = t.Lifecycle()
		tasks[t.Name] = object{
			"Cpu":     object{"CpuShares": t.CPU, "ReservedCores": nil},
			"Memory":  object{"MemoryMB": t.Memory, "MemoryMaxMB": t.MemoryMax},
			"Devices": nil, "Networks": nil,
		}
	}
	return object{
		"Shared":         object{"DiskMB": jobspec.DiskMB, "Networks": a.assignedNetworks(), "Ports": a.assignedPorts()},
		"TaskLifecycles": lifecycles, "Tasks": tasks,
	}
}

// Detail returns the whole allocation. Unlike in lists, Nomad omits empty fields here.
func (a *Allocation) Detail() object {
	perTask, cpu, memory := object{}, 0, 0
	for _, t := range a.Group.Tasks {
		perTask[t.Name] = jobspec.Resources(t.CPU, t.Memory, t.MemoryMax, 0)
		cpu += t.CPU
		memory += t.Memory
	}
	placed := *a.Job // the job at the time of the placement
	placed.Status, placed.ModifyIndex, placed.Deployment = "pending", a.Job.JobModifyIndex, nil
	whole, shared := jobspec.Resources(cpu, memory, memory, jobspec.DiskMB), jobspec.Resources(0, 0, 0, jobspec.DiskMB)
	whole["Networks"], shared["Networks"] = a.assignedNetworks(), a.assignedNetworks()
	d := object{
		"ID": a.ID, "Namespace": a.Namespace, "EvalID": a.EvalID, "Name": a.Name, "NodeID": a.NodeID,
		"NodeName": a.NodeName, "JobID": a.JobID, "Job": placed.Detail(), "TaskGroup": a.TaskGroup,
		"ClientStatus": a.ClientStatus, "ClientDescription": a.ClientDescription, "DesiredStatus": a.DesiredStatus,
		"TaskStates": a.TaskStates, "AllocatedResources": a.allocatedResources(), "TaskResources": perTask,
		"Resources": whole, "SharedResources": shared,
		"NetworkStatus": object{"Address": "", "AddressIPv6": "", "DNS": nil, "InterfaceName": ""},
		"SigningKeyID":  jobspec.UUID("signing key"),
		"Metrics":       a.Node.metrics(),
		"CreateIndex":   a.CreateIndex, "ModifyIndex": a.ModifyIndex, "AllocModifyIndex": max(a.CreateIndex, a.PlanIndex),
		"CreateTime": a.CreateTime, "ModifyTime": a.ModifyTime,
	}
	if a.DesiredDescription != "" {
		d["DesiredDescription"] = a.DesiredDescription
	}
	if a.DesiredTransition != (DesiredTransition{}) {
		d["DesiredTransition"] = a.DesiredTransition
	}
	if len(a.StatusHistory) > 0 {
		d["AllocStates"] = a.StatusHistory
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

// AllocState is a recorded change of an allocation's status.
type AllocState struct {
	Field int // 0: the client status
	Value string
	Time  time.Time
}

// CanDisconnect reports whether an allocation may become unknown when its client disconnects.
func (a *Allocation) CanDisconnect() bool {
	return a.Group.Disconnect != nil && a.Group.Disconnect.LostAfter > 0 && a.DesiredStatus == "run" &&
		!a.DisconnectExpired()
}

// DisconnectExpired reports whether an allocation was unknown for longer than its group permits.
func (a *Allocation) DisconnectExpired() bool {
	if a.ClientStatus != "unknown" || len(a.StatusHistory) == 0 {
		return false
	}
	var after time.Duration
	if d := a.Group.Disconnect; d != nil {
		after = d.LostAfter
	}
	return !time.Now().Before(a.StatusHistory[len(a.StatusHistory)-1].Time.Add(after))
}

// CanReschedule reports whether the reschedule policy permits a replacement of the failed allocation.
func (a *Allocation) CanReschedule() bool {
	r := a.Group.Reschedule
	switch {
	case r == nil:
		return a.Job.Type == "service" || a.RescheduleCount() < 1
	case r.Unlimited:
		return true
	}
	return a.RescheduleCount() < r.Attempts
}

// Index returns the index in the allocation's name.
func (a *Allocation) Index() int {
	n, _ := strconv.Atoi(strings.TrimSuffix(a.Name[strings.LastIndex(a.Name, "[")+1:], "]"))
	return n
}

// IsCanary reports whether the allocation is a canary that is not promoted.
func (a *Allocation) IsCanary() bool { return a.DeploymentStatus != nil && a.DeploymentStatus.Canary }

// IsHealthy reports whether the allocation is healthy in its deployment.
func (a *Allocation) IsHealthy() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && *a.DeploymentStatus.Healthy
}

// HasHealth reports whether the health of the allocation in its deployment is known.
func (a *Allocation) HasHealth() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil
}

// Allocation returns an allocation by its full ID, or nil if there is none.
func (st *State) Allocation(id string) (*Allocation, error) {
	if _, err := UUIDDigits(id, true); err != nil {
		return nil, fmt.Errorf("alloc lookup failed: index error: %w", err)
	}
	return st.AllocationByID(strings.ToLower(id)), nil
}

// Task returns a task of the allocation by name.
func (a *Allocation) Task(name string) (jobspec.Task, bool) {
	for _, t := range a.Group.Tasks {
		if t.Name == name {
			return t, true
		}
	}
	return jobspec.Task{}, false
}

// AllocationByID returns an allocation, or nil if there is none.
func (st *State) AllocationByID(id string) *Allocation { return st.byID[id] }
