package nomadsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// SkewSummary makes the summary of a job wrong, as happens over time in a real cluster. It adds pending, running and
// dead to the counts of children, and queued to the queued allocations of each group. The numbers may be negative. It
// reports whether there is such a job.
func (c *Cluster) SkewSummary(namespace, id string, pending, running, dead, queued int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.jobs, func(j *job) bool { return j.Namespace == namespace && j.ID == id })
	if i < 0 {
		return false
	}
	j := *c.jobs[i]
	sum := *j.summary
	sum.ModifyIndex = c.nextIndex(tableSummaries, tableJobs)
	sum.Children = children{sum.Children.Dead + dead, sum.Children.Pending + pending, sum.Children.Running + running}
	sum.Summary = map[string]*groupSummary{}
	for name, t := range j.summary.Summary {
		u := *t
		u.Queued += queued
		sum.Summary[name] = &u
	}
	j.summary = &sum
	c.jobs[i] = &j
	return true
}

// Allocations returns the IDs of a job's allocations in sorted order. It returns none if there is no such job.
func (c *Cluster) Allocations(namespace, job string) (ids []string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if j := c.job(namespace, job); j != nil {
		for _, a := range j.allocations {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// AddNamespace adds a namespace, unless it exists. AddJob adds the namespace of its job.
func (c *Cluster) AddNamespace(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addNamespace(name, "")
}

// AddNode adds a node to the cluster. It replaces a node with the same name, which keeps its allocations.
func (c *Cluster) AddNode(n Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addNode(n)
}

// AddJob adds a job to the cluster in the described state. The index advances as in a real cluster: each version is
// registered and planned, failed allocations are rescheduled, and clients report. A job with the same namespace and
// ID is replaced, and keeps its CreateIndex. So do allocations with the same ID. Namespaces and nodes are added if they
// are missing. Tasks with a Command are started if they are described as running, and processes of
// other tasks are killed. The caller must not change the maps of the description after the call.
func (c *Cluster) AddJob(spec jobspec.Job) { waitForExit(c.addJob(spec)) }

// Purge deletes a job with all its records, if it exists, and kills its processes.
func (c *Cluster) Purge(namespace, id string) { waitForExit(c.purge(namespace, id)) }

func (c *Cluster) purge(namespace, id string) []*taskRunner {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.job(namespace, id)
	if j == nil {
		return nil
	}
	c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments)
	c.removeJob(j)
	c.countChildren(namespace, j.ParentID)
	return c.syncProcesses(j.allocations)
}

// KillClient kills the client agent of a node. Its allocations are not reachable from then on. After the heartbeat
// timeout the node is down, or disconnected if a group on it has a disconnect block.
func (c *Cluster) KillClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		panic("nomadsim: no such node: " + name)
	}
	n := *old
	n.agentDown, n.spec.Unreachable = true, true
	c.nodes = put(c.nodes, &n, byName)
	c.afterDelay(heartbeatSteps*c.stepInterval, func() { c.missHeartbeat(n.ID) })
}

// StartClient starts the client agent of a node again, or that of a new node.
func (c *Cluster) StartClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		old = c.addNode(Node{Name: name, Drivers: c.defaultDrivers()})
	}
	n := *old
	n.agentDown, n.spec.Unreachable, n.spec.Down = false, false, false
	c.setNodeStatus(&n, "ready")
	c.evaluateNode(&n)
	c.afterStep(func() { c.reconnect(n.ID) })
	for _, j := range c.jobs {
		for _, e := range j.evaluations {
			if e.Status == "blocked" {
				again := *e
				again.Status, again.StatusDescription = "pending", ""
				again.ModifyIndex = c.nextIndex(tableEvaluations, tableJobs)
				c.enqueue(&again)
			}
		}
	}
}

// NodeStatus returns the status of a node, or "" if there is no such node.
func (c *Cluster) NodeStatus(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n := c.nodeNamed(name); n != nil {
		return n.Status
	}
	return ""
}

// ClientInSync reports whether the client of a node is running and has reported all of its allocations.
func (c *Cluster) ClientInSync(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.nodeNamed(name)
	return n != nil && n.Status == "ready" && !n.agentDown &&
		!slices.ContainsFunc(c.allocations, func(a *allocation) bool {
			stopping := a.DesiredStatus != "run" && (a.ClientStatus == "lost" || a.ClientStatus == "running")
			return a.NodeID == n.ID && (stopping || a.ClientStatus == "unknown" || a.ClientStatus == "pending")
		})
}

// FailNext makes the tasks of the job's next started or restarted allocations exit with code 1, at every attempt of
// their restart policy. The environment variable SIM_EXIT=2 makes a task exit with code 2 every time.
func (c *Cluster) FailNext(namespace, job string, allocations int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failNext[key{namespace: namespace, id: job}] = allocations
}

// Idle reports whether a job has reached a stable state: no evaluation is pending (except max-disconnect-timeout), no
// allocation is starting or stopping on a running client, and no deployment is active. It returns false if there is no
// such job.
func (c *Cluster) Idle(namespace, id string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	j := c.job(namespace, id)
	awaited := func(e *evaluation) bool { return e.Status == "pending" && e.TriggeredBy != "max-disconnect-timeout" }
	if j == nil || slices.ContainsFunc(j.evaluations, awaited) || (j.deployment != nil && j.deployment.active()) {
		return false
	}
	for _, a := range j.allocations {
		if a.ClientStatus == "pending" && !c.agentDown(a) ||
			(a.DesiredStatus != "run" && a.ClientStatus == "running" && !c.agentDown(a)) {
			return false
		}
	}
	return true
}

// SetStepInterval sets the duration of a simulation step (default 20 ms). Each of these takes one step: processing an
// evaluation, starting an allocation on its client, starting or stopping a task, and reporting its health.
func (c *Cluster) SetStepInterval(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepInterval = d
}

// Collect garbage-collects one job with its versions, as Nomad does after job_gc_threshold. It returns an error if
// Nomad would keep the job.
func (c *Cluster) Collect(namespace, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.job(namespace, id)
	if j == nil {
		return fmt.Errorf("no such job: %s", id)
	}
	if !c.collectable(j) {
		return fmt.Errorf("Nomad keeps job %s: it is %s, with %d allocations", id, j.Status, len(j.allocations))
	}
	c.collect(j)
	return nil
}

// Log appends text to the "stdout" or "stderr" log of a task, regardless of the task's state. It panics if the
// allocation or the task does not exist, and does nothing after Close.
func (c *Cluster) Log(allocation, task, stream string, text []byte) {
	c.mu.RLock()
	a := c.allocationByID[allocation]
	c.mu.RUnlock()
	if a == nil {
		panic("nomadsim: no allocation " + allocation)
	}
	t, found := a.task(task)
	if !found || (stream != "stdout" && stream != "stderr") {
		panic(fmt.Sprintf("nomadsim: allocation %s has no log %s of a task %q", allocation, stream, task))
	}
	d, err := c.host.dir(a)
	if err == nil {
		_, err = d.openLog(t, stream).Write(text)
	}
	if err != nil && err != errClosed {
		panic("nomadsim: log: " + err.Error())
	}
}

// Container returns the settings for a task of an allocation. It panics if the task does not exist or does not use
// the docker driver.
func (c *Cluster) Container(allocation, task string) Container {
	c.mu.RLock()
	a := c.allocationByID[allocation]
	c.mu.RUnlock()
	if a == nil {
		panic("nomadsim: no allocation " + allocation)
	}
	t, found := a.task(task)
	if !found || t.Driver != "docker" {
		panic(fmt.Sprintf("nomadsim: allocation %s has no task %q of the docker driver", allocation, task))
	}
	container := Container{
		Name:   strings.ReplaceAll(task, "/", "_") + "-" + allocation,
		Labels: map[string]string{"com.hashicorp.nomad.alloc_id": allocation},
	}
	container.LogDriver, container.LogOptions = dockerLog(t.Config)
	return container
}

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
