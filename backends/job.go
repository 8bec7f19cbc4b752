// Package backends says what a gateway shows of a cluster, in Nomad's words, and the small interfaces through
// which it is reached. The clients that speak to real daemons live below it.
package backends

import (
	"strings"
	"time"
)

// Job is one job of a tier, with the allocations that were asked for.
type Job struct {
	Tier      string
	Namespace string
	ID        string
	Type      string // service, batch, system or sysbatch
	Status    string // pending, running or dead

	// Root is the ID of the job that decides whose this one is: the parent of a periodic or dispatched child,
	// else the job itself.
	Root string

	Parent        string    // ID of the job of which this one is a launch; empty for others
	Submitted     time.Time // when this version was registered
	ModifyIndex   uint64    // Nomad's JobModifyIndex: who asks to change the job says what it was
	Periodic      bool
	Parameterized bool
	Stopped       bool
	Counts        Counts // of all groups together

	// DeploymentStatus is the status of the job's latest deployment in Nomad's words (running, successful, failed,
	// cancelled...); empty when it has none.
	DeploymentStatus string

	Unplaced    []Unplaced   // by group name
	Allocations []Allocation // by group, index in the group, then newest first
}

// Counts is how many allocations are in which state. Failed, Complete and Lost count those too that Nomad has forgotten.
type Counts struct{ Queued, Starting, Running, Failed, Complete, Lost, Unknown int }

// Unplaced is a task group for which no node could be found.
type Unplaced struct {
	Group       string
	Allocations int      // that wait
	Reasons     []string // sorted; each one clause, such as "memory exhausted on 2 nodes"
}

// Allocation is one instance of a task group.
type Allocation struct {
	Tier              string
	Namespace         string
	JobID             string
	Root              string // of its job
	JobType           string // service, batch, system or sysbatch
	ID                string
	Name              string // job.groupNamed[index]
	Group             string
	Node              string // the node's name; empty before placement
	NodeID            string
	Status            string // the client's: pending, running, complete, failed, lost or unknown (its node is disconnected)
	Desired           string // run, stop or evict
	Version           uint64 // of the job
	Created           time.Time
	Modified          time.Time
	Next              string // the allocation that replaces this one; empty: none
	ReschedulePending bool   // one that has failed is to be replaced later

	// Rescheduled are the failed allocations that this one replaces, oldest first, as far as Nomad keeps them.
	Rescheduled []Reschedule

	Healthy *bool // to its deployment; nil: not known, or not yet
	Canary  bool
	Tasks   []Task // by name
}

// SameInstance reports whether another allocation of the job is, or was, in the place of this one: of a system job all have one
// name, and a node each.
func (a Allocation) SameInstance(b Allocation) bool {
	everywhere := a.JobType == "system" || a.JobType == "sysbatch"
	return a.Name == b.Name && (!everywhere || a.NodeID == b.NodeID)
}

// Task is one task of an allocation.
type Task struct {
	Name     string
	ExecID   string
	State    string // that the client agent reported last: pending, running or dead. See Allocation.TaskState
	Failed   bool
	Started  time.Time // zero before the first start
	Finished time.Time // zero while it runs
	Restarts int
	Events   []Event // oldest first; Nomad keeps the last 10
}

// Event is something Nomad's client recorded about a task.
type Event struct {
	Time    time.Time
	Type    string
	Message string // Nomad's display message; may hold several lines
	Details map[string]string
}

// Usage is what a task uses now. A nil figure was not measured.
type Usage struct {
	CPU       *float64 // MHz
	Memory    *uint64  // bytes
	MemoryMax *uint64  // bytes, the peak
}

// Children have IDs of their own below their parent's; these are the markers Nomad puts between.
var childMarkers = []string{"/periodic-", "/dispatch-"}

// RootID returns the ID of the job that owns the job id: parent when Nomad names one. Without (a job that was
// purged while its allocations still run) it is read from the ID.
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
