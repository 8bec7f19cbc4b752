package backends

import "time"

// AllocationDetail contains the fields of an allocation that are missing in lists. Its definitions are those of the
// allocation's version of the job.
type AllocationDetail struct {
	Tasks       []TaskDefinition // in the order in which Nomad starts them
	Checks      []CheckDefinition
	Reschedule  ReschedulePolicy
	NoReplace   bool      // Nomad does not replace the allocation while its node is disconnected
	NetworkMode string    // of the group: host, bridge, none, cni/NAME; empty: host
	Ports       []Port    // of the group, in Nomad's order, then those of tasks
	Disk        uint64    // bytes of ephemeral disk that the group requests
	Migrating   bool      // Nomad wants to move it, because its node is drained
	Deadline    time.Time // when Nomad stops it because of the group's max_run_duration; zero: never
}

// Port is a port that Nomad has assigned to an allocation.
type Port struct {
	Label string
	Task  string // empty: a port of the group
	Host  string // the address on the node: an IP address
	Value int    // the port on the node
	To    int    // the port in the allocation's network; 0: the same as Value
}

// Task returns the definition of a task. It is the zero value if the allocation's version of the job is not known.
func (d AllocationDetail) Task(name string) TaskDefinition {
	for _, t := range d.Tasks {
		if t.Name == name {
			return t
		}
	}
	return TaskDefinition{}
}

// Check returns the definition of a check. ok is false if the allocation's version of the job does not have it, or has
// several with these names. Names that the client agent interpolates are not found.
func (d AllocationDetail) Check(c Check) (found CheckDefinition, ok bool) {
	n := 0
	for _, defined := range d.Checks {
		if defined.Service == c.Service && defined.Name == c.Name && defined.Task == c.Task {
			found = defined
			n++
		}
	}
	if n != 1 {
		return CheckDefinition{}, false
	}
	return found, true
}

// NodeState is the state of a client node.
type NodeState struct {
	Status        string // initializing, ready, down or disconnected
	Ineligible    bool   // Nomad places no new allocations on it
	Draining      bool
	DrainDeadline time.Time // when the drain stops the allocations that are left; zero: never
}
