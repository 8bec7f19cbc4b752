// Package backends defines the data that the gateway reads from clusters, in Nomad's terms, the interfaces to read and
// change it, and their errors. It does not talk to a daemon itself; the packages below it do.
package backends

import (
	"strings"
	"time"
)

// Job is one job of a tier, with its selected allocations.
type Job struct {
	Tier      string
	Namespace string
	ID        string
	Type      string // service, batch, system or sysbatch
	Status    string // pending, running or dead

	// Root is the ID of the job that decides who owns this one: the parent of a periodic or dispatched child, else the
	// job itself.
	Root string

	Parent        string    // the parent's ID if this is a child job
	Submitted     time.Time // when this version was registered
	ModifyIndex   uint64    // Nomad's JobModifyIndex: a change is refused if the job has another one
	Periodic      bool
	Parameterized bool
	Stopped       bool
	Counts        Counts // of all groups together

	// DeploymentStatus is the status of the job's latest deployment (running, successful, failed, cancelled...). It is
	// empty if the job has none.
	DeploymentStatus string
	LatestDeployment *Deployment // nil: none

	Unplaced    []UnplacedGroup // by group name
	Allocations []Allocation    // by group, index in the group, then newest first
}

// Counts counts allocations by state. Failed, Complete and Lost include those that Nomad has garbage-collected.
type Counts struct{ Queued, Starting, Running, Failed, Complete, Lost, Unknown int }

// UnplacedGroup is a task group with allocations that Nomad could not place.
type UnplacedGroup struct {
	Group   string
	Count   int      // waiting for a node
	Reasons []string // sorted; such as "memory exhausted on 2 nodes"
}

// Allocation is one instance of a task group.
type Allocation struct {
	Tier              string
	Namespace         string
	JobID             string
	Root              string // of its job
	JobType           string // service, batch, system or sysbatch
	ID                string
	Name              string // job.group[index]
	Group             string
	Node              string // the node's name; empty before placement
	NodeID            string
	Status            string // pending, running, complete, failed, lost or unknown (its node is disconnected)
	Desired           string // run, stop or evict
	DesiredReason     string // why, in Nomad's words; usually empty for run
	ClientReason      string // the client agent's description of Status
	Version           uint64 // of the job
	Created           time.Time
	Modified          time.Time
	Next              string    // ID of the allocation that replaces this one; empty: none
	ReschedulePending bool      // it has failed and Nomad will replace it later
	RescheduleAt      time.Time // when Nomad will replace it; zero: not known, or never

	// Rescheduled lists the failed allocations that this one replaces, oldest first, as far as Nomad retains them.
	Rescheduled []Reschedule

	Healthy *bool // deployment health; nil: not known yet
	Canary  bool
	Tasks   []Task // by name; those of a JobDetail in the order in which Nomad starts them
}

// SameInstance reports whether a and b are the same instance of a group, before and after a replacement: they have the
// same name. The allocations of a system job all have one name, so for them the node decides.
func (a Allocation) SameInstance(b Allocation) bool {
	everywhere := a.JobType == "system" || a.JobType == "sysbatch"
	return a.Name == b.Name && (!everywhere || a.NodeID == b.NodeID)
}

// Task is one task of an allocation.
type Task struct {
	Name        string
	ExecID      string
	State       string // last reported by the client agent: pending, running or dead. See Allocation.TaskState
	Failed      bool
	Started     time.Time // zero before the first start
	Finished    time.Time // zero while it runs
	Restarts    int
	LastRestart time.Time // zero: none
	Events      []Event   // oldest first; Nomad retains the last 10
}

// Event is a task event, recorded by the client agent.
type Event struct {
	Time    time.Time
	Type    string
	Message string // Nomad's display message; may hold several lines
	Details map[string]string
	Hidden  bool // parts of Message and Details look like secrets and are hidden
}

// Usage is the current resource usage of a task. A nil value was not measured.
type Usage struct {
	CPU       *float64 // MHz
	Memory    *uint64  // bytes
	MemoryMax *uint64  // bytes, the peak
}

// childMarkers follow the parent's ID in the ID of a child job.
var childMarkers = []string{"/periodic-", "/dispatch-"}

// RootID returns the root of the job id: parent if Nomad returns one. Nomad returns no parent for a purged job with
// running allocations, so RootID then derives the root from the ID.
func RootID(id, parent string) string {
	if parent != "" {
		return parent
	}
	for _, marker := range childMarkers {
		if i := strings.LastIndex(id, marker); i > 0 {
			return id[:i]
		}
	}
	return id
}
