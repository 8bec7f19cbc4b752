package sim

import "time"

// Job describes a job and the state it is in. Only ID is needed: what is left out becomes a healthy service in
// the namespace "default" with one group and one task, submitted now.
type Job struct {
	Namespace, ID string
	Type          string // "service", "batch", "system" or "sysbatch"
	ParentID      string // of the periodic or parameterized job that this one is a child of
	Stopped       bool
	Version       uint64 // 0 is as many as Versions has
	Meta          map[string]string
	Constraints   []Constraint
	Periodic      *Periodic
	Parameterized *Parameterized // also on a dispatched child, as in Nomad
	Groups        []Group
	Deployment    Deployment
	Submitted     time.Time
	Versions      []Job          // what the job was before, oldest first; what belongs to the job itself is ignored
	Evaluations   []Evaluation   // beside those that registering, rescheduling and waiting for a place leave
	Extra         map[string]any // more fields of the job, such as a later Nomad may have; they win over known ones
}

// Constraint is what a node has to be: Left "${attr.kernel.name}", Operator "=", Right "linux".
type Constraint struct{ Left, Operator, Right string }

// Evaluation is one more evaluation of a job.
type Evaluation struct {
	TriggeredBy         string // "deployment-watcher", "alloc-failure", "node-update" and so on
	Status, Description string // "complete" and none when empty
	Created             time.Time
}

// Periodic is a launch plan: Spec is `cron = "..."` and Specs is `crons = [...]` of the job file.
type Periodic struct {
	Spec            string
	Specs           []string
	TimeZone        string // "" is UTC
	ProhibitOverlap bool
	Disabled        bool
}

// Parameterized says what a dispatch must and may bring.
type Parameterized struct {
	Payload                    string // "optional", "required" or "forbidden"; "" is optional
	MetaRequired, MetaOptional []string
}

// Deployment is a job's latest deployment; without a Status the job has none. Description "" is what Nomad says
// of that status most often.
type Deployment struct{ Status, Description string }

// Group is a task group.
type Group struct {
	Name  string
	Count int // 0 is the number of Allocations and unplaced ones, or else 1
	Tasks []Task
	// Allocations nil: Count running ones, on the nodes in turn. Empty: none.
	Allocations []Allocation
	Unplaced    *Unplaced
	Constraints []Constraint
	Networks    []Network
	Services    []Service
	Restart     *Restart    // nil is Nomad's default for the type of the job
	Reschedule  *Reschedule // the same
	Update      *Update     // nil is Nomad's default for a service; other jobs have none
	Scaling     *Scaling
	Disconnect  *Disconnect
	Meta        map[string]string
}

// Update is how the allocations of a service are replaced by those of another version. Times that are zero are
// Nomad's defaults; MaxParallel 0 is 1.
type Update struct {
	MaxParallel, Canary                               int
	AutoRevert, AutoPromote                           bool
	MinHealthyTime, HealthyDeadline, ProgressDeadline time.Duration
}

// Disconnect is what becomes of the allocations of a group whose client does not answer.
type Disconnect struct {
	LostAfter time.Duration // until then they are unknown; 0: they are lost at once
	NoReplace bool          // not replaced while they are unknown: replace = false
}

// Scaling is how far a group may be scaled.
type Scaling struct {
	Min, Max int
	Disabled bool
}

// Restart is what a client does with a task that ends, Reschedule what the servers do with an allocation that failed.
type (
	Restart struct {
		Attempts        int
		Interval, Delay time.Duration
		Mode            string // "fail" when empty; also "delay"
	}
	Reschedule struct {
		Attempts                  int
		Interval, Delay, MaxDelay time.Duration
		DelayFunction             string // "constant" when empty; also "exponential", "fibonacci"
		Unlimited                 bool
	}
)

// Task is one task of a group.
type Task struct {
	Name    string
	Driver  string // "" is docker
	CPU     int    // MHz; 0 is 100
	Memory  int    // MiB; 0 is 64
	Sidecar bool
	Config  map[string]any // nil: an image or a command, as the driver needs
	// Command is run on this machine, as a process of its own in a temporary directory, for as long as the task runs; when
	// it ends, the task goes the way of the group's restart policy. nil: nothing runs.
	Command     []string
	LogFileSize int64 // bytes of each file of its logs; 0 is 10 MiB
	LogFiles    int   // that are kept; 0 is 10

	LogsDisabled bool // nothing of what it writes is kept

	Env, Meta   map[string]string
	Templates   []Template
	Constraints []Constraint
	Services    []Service
}

// Unplaced says why Nomad cannot place what is left of a group: it becomes a blocked evaluation and the group's
// queue. The numbers count nodes.
type Unplaced struct {
	Queued             int            // 0 is 1
	ConstraintFiltered map[string]int // "${attr.kernel.name} = windows": 3
	DimensionExhausted map[string]int // "memory": 3
}

// Allocation is one instance of a group. Its ID is made up from the names around it and its place in the list,
// so that it stays the same from run to run, unless one is given.
type Allocation struct {
	ID                 string
	Node               string // by name; one that is not there joins the cluster
	ClientStatus       string // "running" when empty; also "pending", "complete", "failed", "lost", "unknown"
	DesiredStatus      string // "run" when empty; also "stop", "evict"
	DesiredDescription string
	Created, Modified  time.Time // Submitted and Created when zero
	Unhealthy          bool      // to its deployment
	Tasks              map[string]TaskState

	HealthPending bool // running, and not yet healthy or unhealthy to its deployment
	// VersionsBehind is how many versions of the job the allocation is behind: 0 is of the job as it is.
	VersionsBehind int
	// Previous is the allocation that this one took the place of. Of an earlier version it is complete when it does not
	// say otherwise, and was stopped for the update. Of the same version it is failed, and this one is its rescheduling.
	Previous      *Allocation
	FailingChecks map[string]CheckFailure // the checks of its services that fail on it, by name
}

// TaskState is the state of one task of an allocation. What is zero follows from its Events, or else from the
// allocation's status. Events nil are those of an uneventful life, empty are none; of more than ten Nomad keeps the
// last ten.
type TaskState struct {
	State             string // "pending", "running" or "dead"
	Failed            bool
	Started, Finished time.Time
	Restarts          uint64 // 0 is as many as Events has
	Events            []Event
	CPU               float64 // MHz now used
	RSS, MaxRSS       uint64  // bytes
	NoStats           bool    // the client has no numbers of it yet
}

// Node is a client of the cluster.
type Node struct {
	Name                             string
	ID                               string   // made up from the name when empty
	Address, Datacenter, Class, Pool string   // "127.0.0.1", "dc1", "", "default" when empty
	Drivers                          []string // docker when nil
	Down                             bool     // status down, and no path to it
	Unreachable                      bool     // still ready, yet the servers have no path to it
	Hangs                            bool     // takes a request and never answers
	Slow                             time.Duration
	Attributes, Meta                 map[string]string // beside those that every node has
}

// Rights is what a token may do. The zero value may do nothing.
type Rights struct {
	Management bool
	Namespaces map[string][]string // namespace, or "*" for those not named, to capabilities such as "read-job"
	NodeRead   bool
}
