package nomadsim

import (
	"fmt"
	"time"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/scheduler"
	"nomadctld/internal/nomadsim/store"
)

// This file contains the methods with which tests and the demo describe and change a cluster.

// AddNamespace adds a namespace, unless it exists. AddJob adds the namespace of its job.
func (c *Cluster) AddNamespace(name string) {
	c.store.Update(func(st *store.State) { st.AddNamespace(name, "") })
}

// AddNode adds a node to the cluster. If there is a node with the same name, the new one replaces it and has its
// allocations.
func (c *Cluster) AddNode(n jobspec.Node) {
	c.store.Update(func(st *store.State) { st.AddNode(n) })
}

// AddJob adds a job to the cluster in the described state. The index advances as in a real cluster: each version is
// registered and planned, failed allocations are rescheduled, and clients report. It replaces a job with the same
// namespace and ID. The job keeps its CreateIndex, and so does each allocation with the same ID. Namespaces and nodes
// are added if they are missing. Tasks with a Command are started if they are described as running. Processes of the
// replaced job that match the description continue, and the others are killed. The caller must not change the maps of
// the description after the call.
func (c *Cluster) AddJob(spec Job) {
	c.syncProcesses(func(st *store.State) []*store.Allocation { return st.AddJob(spec) })
}

// Purge deletes a job with all its records, if it exists, and kills its processes.
func (c *Cluster) Purge(namespace, id string) {
	c.syncProcesses(func(st *store.State) []*store.Allocation { return st.Purge(namespace, id) })
}

// syncProcesses changes the state, and starts and kills processes to match the changed allocations. It waits until the
// killed ones have exited.
func (c *Cluster) syncProcesses(change func(st *store.State) []*store.Allocation) {
	var exits []<-chan struct{}
	c.store.Update(func(st *store.State) { exits = c.agents.SyncProcesses(st, change(st)) })
	for _, exited := range exits {
		<-exited
	}
}

// Allocations returns the IDs of a job's allocations in sorted order. It returns none if there is no such job.
func (c *Cluster) Allocations(namespace, job string) (ids []string) {
	c.store.View(func(st *store.State) {
		if j := st.Job(namespace, job); j != nil {
			for _, a := range j.Allocations {
				ids = append(ids, a.ID)
			}
		}
	})
	return ids
}

// Idle reports whether a job has reached a stable state: no evaluation is pending (except max-disconnect-timeout), no
// allocation is starting or stopping on a running client, and no deployment is active. It returns false if there is no
// such job.
func (c *Cluster) Idle(namespace, id string) (idle bool) {
	c.store.View(func(st *store.State) { idle = scheduler.Idle(st, namespace, id) })
	return idle
}

// SkewSummary makes the summary of a job wrong, as happens over time in a real cluster. It adds pending, running and
// dead to the counts of children, and queued to the queued allocations of each group. The numbers may be negative. It
// reports whether there is such a job.
func (c *Cluster) SkewSummary(namespace, id string, pending, running, dead, queued int) (found bool) {
	c.store.Update(func(st *store.State) { found = st.SkewSummary(namespace, id, pending, running, dead, queued) })
	return found
}

// Collect garbage-collects one job with its versions, as Nomad does after job_gc_threshold. It returns an error if
// Nomad would not collect the job.
func (c *Cluster) Collect(namespace, id string) (err error) {
	c.store.Update(func(st *store.State) {
		switch j := st.Job(namespace, id); {
		case j == nil:
			err = fmt.Errorf("no such job: %s", id)
		case !st.Collectable(j):
			err = fmt.Errorf("Nomad would not collect job %s: it is %s, with %d allocations", id, j.Status, len(j.Allocations))
		default:
			c.agents.Drop(st.Collect(j))
		}
	})
	return err
}

// SetStepInterval sets the duration of a simulation step (default 20 ms). Each of these takes one step: processing an
// evaluation, starting an allocation on its client, starting or stopping a task. Reporting its health takes two.
func (c *Cluster) SetStepInterval(d time.Duration) {
	c.store.Update(func(st *store.State) { st.SetStepInterval(d) })
}

// KillClient kills the client agent of a node. Its allocations are not reachable from then on. After the heartbeat
// timeout the node is down, or disconnected if a group on it has a disconnect block with lost_after.
func (c *Cluster) KillClient(name string) {
	c.store.Update(func(st *store.State) {
		n := st.NodeNamed(name)
		if n == nil {
			panic("nomadsim: no such node: " + name)
		}
		c.scheduler.KillClient(st, n)
	})
}

// StartClient starts the client agent of a node again, or that of a new node.
func (c *Cluster) StartClient(name string) {
	c.store.Update(func(st *store.State) {
		n := st.NodeNamed(name)
		if n == nil {
			n = st.AddNode(jobspec.Node{Name: name, Drivers: st.DefaultDrivers()})
		}
		c.scheduler.StartClient(st, n)
		st.AfterStep(func(st *store.State) { c.agents.Reconnect(st, n.ID) })
	})
}

// NodeStatus returns the status of a node, or "" if there is no such node.
func (c *Cluster) NodeStatus(name string) (status string) {
	c.store.View(func(st *store.State) {
		if n := st.NodeNamed(name); n != nil {
			status = n.Status
		}
	})
	return status
}

// ClientInSync reports whether the client of a node is running and has reported all of its allocations.
func (c *Cluster) ClientInSync(name string) (inSync bool) {
	c.store.View(func(st *store.State) { inSync = scheduler.ClientInSync(st, name) })
	return inSync
}

// FailNext makes the tasks of the job's next started or restarted allocations exit with code 1, at every attempt of
// their restart policy. The environment variable SIM_EXIT=2 makes a task exit with code 2 every time.
func (c *Cluster) FailNext(namespace, job string, allocations int) {
	c.store.Update(func(st *store.State) { c.agents.FailNextStarts(st, namespace, job, allocations) })
}

// DelayTasks makes the cluster start no processes until StartDelayedTasks is called.
func (c *Cluster) DelayTasks() { c.store.Update(c.agents.DelayTasks) }

// StartDelayedTasks starts the processes that DelayTasks has delayed. It returns the tasks that are described as having
// exited, for which the caller may write logs.
func (c *Cluster) StartDelayedTasks() (exited []agent.ExitedTask) {
	c.store.Update(func(st *store.State) { exited = c.agents.StartDelayedTasks(st) })
	return exited
}

// Log appends text to the "stdout" or "stderr" log of a task, regardless of the task's state. It panics if the
// allocation or the task does not exist, and does nothing after Close.
func (c *Cluster) Log(allocation, task, stream string, text []byte) {
	c.agents.Log(c.mustAllocation(allocation), task, stream, text)
}

// Container returns the settings for a task of an allocation. It panics if the task does not exist or does not use
// the docker driver.
func (c *Cluster) Container(allocation, task string) agent.Container {
	return agent.ContainerOf(c.mustAllocation(allocation), task)
}

// mustAllocation returns an allocation. It panics if there is none with this ID.
func (c *Cluster) mustAllocation(id string) (a *store.Allocation) {
	c.store.View(func(st *store.State) { a = st.AllocationByID(id) })
	if a == nil {
		panic("nomadsim: no allocation " + id)
	}
	return a
}
