package backends

import "time"

// JobDetail is the full state of a job. Its Allocations include the hidden ones.
type JobDetail struct {
	Job
	Name        string
	Version     uint64
	Priority    int
	Datacenters []string
	NodePool    string
	Groups      []Group
	Evaluations []Evaluation // newest first
	Children    *ChildCounts // of a periodic or parameterized job; nil for others
	Schedule    Schedule
	Actions     []Action // in the order of the definition

	IdempotencyToken string // of the dispatch that created the job; empty: none
}

// Action is a command that the job defines for a task.
type Action struct{ Name, Group, Task string }

// Group is a task group as the job defines it.
type Group struct {
	Name       string
	Count      int
	Counts     Counts
	Tasks      []TaskDefinition // in the order in which Nomad starts them
	Restart    RestartPolicy
	Reschedule ReschedulePolicy
	Scaling    *CountRange   // nil: any count
	MaxRun     time.Duration // an allocation of a batch or sysbatch job is stopped after it; 0: never
}

// Task returns the definition of a task. ok is false if the group does not have it.
func (g Group) Task(name string) (t TaskDefinition, ok bool) {
	for _, t := range g.Tasks {
		if t.Name == name {
			return t, true
		}
	}
	return t, false
}

// CountRange is the range of counts that the job allows for a group.
type CountRange struct{ Min, Max int }

// ChildCounts counts a job's child jobs by status.
type ChildCounts struct{ Pending, Running, Dead int }

// Deployment is the rollout of one version of a job.
type Deployment struct {
	ID          string
	Version     uint64
	Status      string // Nomad's
	Description string
	Groups      []DeploymentGroup // by name
}

// WaitsForPromotion reports whether nothing but a promotion is missing in a group: all its canaries are healthy. The
// group's progress deadline has no effect then.
func (d Deployment) WaitsForPromotion(g DeploymentGroup) bool {
	return d.Status == "running" && g.Canaries > 0 && !g.Promoted && g.Healthy >= g.Canaries
}

// DeploymentGroup is the progress of a deployment in one group.
type DeploymentGroup struct {
	Group                               string
	Desired, Placed, Healthy, Unhealthy int
	Canaries                            int // desired
	Promoted                            bool
	AutoPromote                         bool      // Nomad promotes the canaries when they are healthy
	AutoRevert                          bool      // Nomad returns to the last stable version if the deployment fails
	ProgressDeadline                    time.Time // zero: none
}

// Evaluation is one evaluation of a job by Nomad's scheduler.
type Evaluation struct {
	ID          string
	Priority    int
	Trigger     string
	Status      string
	Description string
	Created     time.Time
	Unplaced    []UnplacedGroup // the groups that could not be placed, by name
}

// Schedule describes when a job runs. The zero value is a job that is neither periodic nor parameterized.
type Schedule struct {
	Specs           []string // cron expressions; empty: not periodic
	TimeZone        string   // empty: UTC
	Disabled        bool
	ProhibitOverlap bool      // no new run while an earlier one is running
	Next            time.Time // zero: never, or not known
	Parameterized   bool
	MetaRequired    []string
	MetaOptional    []string
	Payload         string // of a dispatch: optional, required or forbidden
}

// Check is the latest result of a service check that Nomad itself runs.
type Check struct {
	Service, Name string
	Task          string // empty: a check of the group
	Status        string // success, failure or pending
	StatusCode    int    // of HTTP; 0: not an HTTP check, or no response
	Output        string
	Hidden        bool // a part of Output looks like a secret and is hidden
	Readiness     bool // a readiness check, not a health check
	Time          time.Time
}

// Reschedule records that a failed allocation was replaced.
type Reschedule struct {
	Time     time.Time
	Previous string // the ID of the failed allocation
}
