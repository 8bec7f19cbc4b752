package nomadsim

import "time"

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
	group              Group
	node               *node // at the time of the placement
	failingChecks      map[string]CheckFailure
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
	Events      []Event

	measured TaskState // the resource usage that the client reports
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
		lifecycles[t.Name] = t.lifecycle()
		tasks[t.Name] = object{
			"Cpu":     object{"CpuShares": t.CPU, "ReservedCores": nil},
			"Memory":  object{"MemoryMB": t.Memory, "MemoryMaxMB": 0},
			"Devices": nil, "Networks": nil,
		}
	}
	return object{
		"Shared":         object{"DiskMB": diskMB, "Networks": a.assignedNetworks(), "Ports": a.assignedPorts()},
		"TaskLifecycles": lifecycles, "Tasks": tasks,
	}
}

// detail returns the whole allocation. Unlike in lists, Nomad omits empty fields here.
func (a *allocation) detail() object {
	perTask, cpu, memory := object{}, 0, 0
	for _, t := range a.group.Tasks {
		perTask[t.Name] = resources(t.CPU, t.Memory, 0, 0)
		cpu += t.CPU
		memory += t.Memory
	}
	placed := *a.Job // the job at the time of the placement
	placed.Status, placed.ModifyIndex, placed.deployment = "pending", a.Job.JobModifyIndex, nil
	whole, shared := resources(cpu, memory, memory, diskMB), resources(0, 0, 0, diskMB)
	whole["Networks"], shared["Networks"] = a.assignedNetworks(), a.assignedNetworks()
	d := object{
		"ID": a.ID, "Namespace": a.Namespace, "EvalID": a.EvalID, "Name": a.Name, "NodeID": a.NodeID,
		"NodeName": a.NodeName, "JobID": a.JobID, "Job": placed.detail(), "TaskGroup": a.TaskGroup,
		"ClientStatus": a.ClientStatus, "ClientDescription": a.ClientDescription, "DesiredStatus": a.DesiredStatus,
		"TaskStates": a.TaskStates, "AllocatedResources": a.allocatedResources(), "TaskResources": perTask,
		"Resources": whole, "SharedResources": shared,
		"NetworkStatus": object{"Address": "", "AddressIPv6": "", "DNS": nil, "InterfaceName": ""},
		"SigningKeyID":  uuid("signing key"),
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

// Allocations returns the IDs of a job's allocations in sorted order. It returns none if there is no such job.
func (c *Cluster) Allocations(namespace, job string) (ids []string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if j := c.job(namespace, job); j != nil {
		for _, a := range j.allocations {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
