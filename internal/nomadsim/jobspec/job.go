package jobspec

import "time"

// Job describes a job and its state. Only ID is required. By default, a job is a healthy service in the namespace
// "default", with one group and one task, submitted now.
type Job struct {
	Namespace, ID string
	Type          string // "service" (default), "batch", "system" or "sysbatch"
	ParentID      string // the periodic or parameterized parent of a child job
	Stopped       bool
	Version       uint64 // default len(Versions)
	Meta          map[string]string
	Constraints   []Constraint
	Periodic      *Periodic
	Parameterized *Parameterized // also set on dispatched children, as in Nomad
	Groups        []Group
	Deployment    Deployment
	Submitted     time.Time
	Versions      []Job          // earlier versions, oldest first; fields that identify the job are ignored
	Evaluations   []Evaluation   // in addition to those for registering, rescheduling and placement failures
	Extra         map[string]any // additional fields, as a later Nomad may have; they take precedence
}

// Constraint is a constraint on nodes, such as "${attr.kernel.name}", "=", "linux".
type Constraint struct{ Left, Operator, Right string }

// Evaluation is an additional evaluation of a job.
type Evaluation struct {
	TriggeredBy         string // "deployment-watcher", "alloc-failure", "node-update" and so on
	Status, Description string // default "complete" and ""
	Created             time.Time
}

// Periodic is a periodic block. Spec and Specs correspond to cron and crons in a job file.
type Periodic struct {
	Spec            string
	Specs           []string
	TimeZone        string // default UTC
	ProhibitOverlap bool
	Disabled        bool
}

// Parameterized is a parameterized block.
type Parameterized struct {
	Payload                    string // "optional" (default), "required" or "forbidden"
	MetaRequired, MetaOptional []string
}

// Deployment is the latest deployment of a job. Without a Status there is none. The default Description is Nomad's
// most frequent one for the status.
type Deployment struct{ Status, Description string }

// Group is a task group.
type Group struct {
	Name  string
	Count int // default: the number of Allocations and unplaced allocations, at least 1
	Tasks []Task
	// Allocations contains all allocations of the group. If it is nil, Count allocations run on alternating nodes.
	Allocations []Allocation
	Unplaced    *Unplaced
	Constraints []Constraint
	Networks    []Network
	Services    []Service
	Restart     *Restart    // nil: Nomad's default for the job type
	Reschedule  *Reschedule // nil: Nomad's default for the job type
	Update      *Update     // nil: Nomad's default; only for services
	Scaling     *Scaling
	Disconnect  *Disconnect
	Meta        map[string]string
}

// Update is an update block. MaxParallel defaults to 1, and durations default to Nomad's.
type Update struct {
	MaxParallel, Canary                               int
	AutoRevert, AutoPromote                           bool
	MinHealthyTime, HealthyDeadline, ProgressDeadline time.Duration
}

// Disconnect is a disconnect block.
type Disconnect struct {
	LostAfter time.Duration // time for which allocations are unknown before they are lost; 0: they are lost immediately
	NoReplace bool          // replace = false
}

// Scaling is a scaling block.
type Scaling struct {
	Min, Max int
	Disabled bool
}

// Restart is a restart block, and Reschedule is a reschedule block.
type (
	Restart struct {
		Attempts        int
		Interval, Delay time.Duration
		Mode            string // "fail" (default) or "delay"
	}
	Reschedule struct {
		Attempts                  int
		Interval, Delay, MaxDelay time.Duration
		DelayFunction             string // "constant" (default), "exponential" or "fibonacci"
		Unlimited                 bool
	}
)

// Task is a task of a group.
type Task struct {
	Name      string
	Driver    string // default docker
	CPU       int    // MHz; default 100
	Memory    int    // MiB; default 64
	MemoryMax int    // MiB; 0: none
	Hook      string // of the lifecycle block; "" is a main task, or poststart for a sidecar
	Sidecar   bool
	Config    map[string]any // nil: an image or a command, depending on the driver
	// Command runs as a process on this machine, in a temporary directory, while the task is running. When it exits, the
	// restart policy of the group applies. If it is nil, the task has no process.
	Command     []string
	LogFileSize int64 // bytes in each log file; default 10 MiB
	LogFiles    int   // number of log files; default 10

	LogsDisabled bool // Nomad saves no logs

	Env, Meta   map[string]string
	Templates   []Template
	Constraints []Constraint
	Services    []Service
}

// Unplaced describes a placement failure of a group. It results in a blocked evaluation and queued allocations. The
// map values are numbers of nodes.
type Unplaced struct {
	Queued             int            // default 1
	ConstraintFiltered map[string]int // for example {"${attr.kernel.name} = windows": 3}
	DimensionExhausted map[string]int // for example {"memory": 3}
}

// Allocation is an allocation of a group. The default ID is derived from the names of its job and group and from its
// index, so that it is the same in every run.
type Allocation struct {
	ID                 string
	Node               string // by name; an unknown node is added
	ClientStatus       string // "running" (default), "pending", "complete", "failed", "lost" or "unknown"
	DesiredStatus      string // "run" (default), "stop" or "evict"
	DesiredDescription string
	Created, Modified  time.Time // default Submitted and Created
	Unhealthy          bool      // in its deployment
	Tasks              map[string]TaskState

	HealthPending bool // running, with no health in its deployment yet
	// VersionsBehind is the number of job versions since the version of the allocation.
	VersionsBehind int
	// Previous is the allocation that this one replaced. By default, a previous allocation of an earlier version was
	// stopped for the update and is complete. A previous allocation of the same version failed and was rescheduled.
	Previous      *Allocation
	FailingChecks map[string]CheckFailure // the failing checks of its services, by name
}

// TaskState is the state of a task in an allocation. Zero fields are derived from Events or from the status of the
// allocation. If Events is nil, the task has the events of a task without incidents. As in Nomad, only the last ten
// events are retained.
type TaskState struct {
	State             string // "pending", "running" or "dead"
	Failed            bool
	Started, Finished time.Time
	Restarts          uint64 // default: the number of restarts in Events
	Events            []Event
	CPU               float64 // MHz in use
	RSS, MaxRSS       uint64  // bytes
	NoStats           bool    // the client has not measured it yet
}
