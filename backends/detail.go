package backends

import "time"

// JobDetail is a job with all there is to know of its state. Its Allocations include the finished ones.
type JobDetail struct {
	Job
	Name             string
	Version          uint64
	Priority         int
	Datacenters      []string
	NodePool         string
	Groups           []Group
	LatestDeployment *Deployment  // the latest; nil: none
	Evaluations      []Evaluation // newest first
	Children         *Children    // of a periodic or parameterized job; nil for others
	Schedule         Schedule
}

// Group is a task group as the job defines it.
type Group struct {
	Name          string
	Count         int
	Counts        Counts
	Tasks         map[string]string // name to driver
	PoststopTasks []string          // of Tasks, those that begin when the others have ended
	Restart       Restart
	Scaling       *Scaling // nil: any count

	Reschedules bool // Nomad may replace failed allocations
}

// Scaling is the range of a group's count that its job allows.
type Scaling struct{ Min, Max int }

// Restart is how often a task is restarted where it is before it fails.
type Restart struct {
	Attempts int
	Interval time.Duration
	Mode     string // fail, or delay: try again in the next interval
}

// Children counts the launches of a job.
type Children struct{ Pending, Running, Dead int }

// Deployment is a rollout of one version of a job.
type Deployment struct {
	ID          string
	Version     uint64
	Status      string // in Nomad's words
	Description string
	Groups      []DeploymentGroup // by name
}

// DeploymentGroup is how far a deployment is with one group.
type DeploymentGroup struct {
	Group                               string
	Desired, Placed, Healthy, Unhealthy int
	Canaries                            int       // desired
	Promoted, AutoPromote               bool      // Promotes: by itself, once the canaries are healthy
	ProgressDeadline                    time.Time // zero: no deadline
}

// Evaluation is one time that Nomad's scheduler looked at a job.
type Evaluation struct {
	ID          string
	Priority    int
	Trigger     string
	Status      string
	Description string
	Created     time.Time
	Unplaced    []Unplaced // by group: those it found no place for
}

// Schedule says when a job launches. The zero value is a job that is just there.
type Schedule struct {
	Specs           []string // cron expressions; empty: not periodic
	TimeZone        string   // empty: UTC
	Disabled        bool
	ProhibitOverlap bool      // not while an earlier launch runs
	Next            time.Time // zero: never, or not known
	Parameterized   bool      // parameterized
	MetaRequired    []string
	MetaOptional    []string
	Payload         string // of a dispatch: optional, required or forbidden
}

// Check is the latest result of a service check that Nomad itself runs.
type Check struct {
	Service, Name string
	Task          string // empty: of the group
	Status        string // success, failure or pending
	Output        string
	Readiness     bool // says whether to send traffic, not whether it is well
	Time          time.Time
}

// Reschedule is one time that a failed allocation was replaced.
type Reschedule struct {
	Time     time.Time
	Previous string // allocation
}

// AllocationDetail is what only the whole allocation tells.
type AllocationDetail struct {
	Drivers      map[string]string // task to driver
	LogsDisabled []string          // the tasks whose logs the job disables
}
