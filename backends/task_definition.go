package backends

import "time"

// TaskDefinition is a task as a version of a job defines it.
type TaskDefinition struct {
	Name         string
	Driver       string
	Hook         string // prestart, poststart or poststop; empty: a main task
	Sidecar      bool   // a prestart or poststart task that runs until the main tasks have stopped
	CPU          int    // MHz
	Cores        int    // reserved cores; 0: none, CPU applies
	Memory       uint64 // bytes
	MemoryMax    uint64 // bytes that the task may use while the node has them; 0: no more than Memory
	Restart      RestartPolicy
	Volumes      []VolumeMount
	LogsDisabled bool // Nomad saves no logs of the task
}

// RestartPolicy is a task's or group's restart policy: how often a task is restarted in place before it fails.
type RestartPolicy struct {
	Attempts int
	Interval time.Duration
	Delay    time.Duration // before each restart
	Mode     string        // fail, or delay: retry in the next interval
}

// ReschedulePolicy is a group's reschedule policy: how Nomad replaces failed allocations. Without Unlimited and
// Attempts, it never does.
type ReschedulePolicy struct {
	Unlimited bool
	Attempts  int // in each Interval
	Interval  time.Duration
	Delay     time.Duration // before the first replacement
	MaxDelay  time.Duration // before a later replacement; 0: no limit
}

// CanReschedule reports whether Nomad may replace failed allocations.
func (p ReschedulePolicy) CanReschedule() bool { return p.Unlimited || p.Attempts > 0 }

// VolumeMount is a volume that a task mounts.
type VolumeMount struct {
	Name        string // of the volume in the group
	Type        string // host or csi
	Source      string // the name or ID of the volume on the node or in the cluster
	Destination string // the path in the task
	ReadOnly    bool
}

// Lifecycle returns when the task runs, in Nomad's words: "main", "prestart", "poststart sidecar".
func (t TaskDefinition) Lifecycle() string {
	switch {
	case t.Hook == "":
		return "main"
	case t.Sidecar:
		return t.Hook + " sidecar"
	}
	return t.Hook
}

// StartOrder returns the position of the task's lifecycle in the order in which Nomad starts tasks.
func (t TaskDefinition) StartOrder() int {
	switch t.Hook {
	case "prestart":
		if t.Sidecar {
			return 1
		}
		return 0
	case "poststart":
		return 3
	case "poststop":
		return 4
	}
	return 2
}
