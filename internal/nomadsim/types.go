package nomadsim

import (
	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/wire"
)

// The types that describe jobs.
type (
	Job           = jobspec.Job
	Constraint    = jobspec.Constraint
	Evaluation    = jobspec.Evaluation
	Periodic      = jobspec.Periodic
	Parameterized = jobspec.Parameterized
	Deployment    = jobspec.Deployment
	Group         = jobspec.Group
	Update        = jobspec.Update
	Disconnect    = jobspec.Disconnect
	Scaling       = jobspec.Scaling
	Restart       = jobspec.Restart
	Reschedule    = jobspec.Reschedule
	Task          = jobspec.Task
	Unplaced      = jobspec.Unplaced
	Allocation    = jobspec.Allocation
	TaskState     = jobspec.TaskState
	Event         = jobspec.Event
	Network       = jobspec.Network
	Port          = jobspec.Port
	Service       = jobspec.Service
	Check         = jobspec.Check
	CheckFailure  = jobspec.CheckFailure
	Template      = jobspec.Template
	Node          = jobspec.Node
)

// The types of requests, failures and tasks.
type (
	Failure    = wire.Failure
	Write      = wire.Write
	Traffic    = wire.Traffic
	ExitedTask = agent.ExitedTask
)

// object is a JSON object without a type of its own.
type object = map[string]any
