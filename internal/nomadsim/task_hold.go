package nomadsim

import (
	"slices"

	"nomadctld/internal/nomadsim/jobspec"
)

// HoldTasks makes the cluster start no processes until RunTasks is called.
func (c *Cluster) HoldTasks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processesOff = true
}

// ExitedTask is a task that has run and exited.
type ExitedTask struct {
	Allocation, Task string
	Events           []jobspec.Event
}

// RunTasks starts the processes that HoldTasks has held back. It returns the tasks that are described as having
// exited, for which the caller may write logs.
func (c *Cluster) RunTasks() (exited []ExitedTask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processesOff = false
	c.syncProcesses(c.allocations)
	for _, a := range slices.Clone(c.allocations) {
		for _, t := range a.group.Tasks {
			if s := a.TaskStates[t.Name]; s.State == "dead" && s.StartedAt != nil {
				exited = append(exited, ExitedTask{a.ID, t.Name, s.Events})
			}
		}
	}
	return exited
}
