package nomadsim

import (
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// This file simulates the client agents: they start, restart and stop the allocations of their nodes, one step at a
// time.

// startAllocation starts an allocation on its node.
func (c *Cluster) startAllocation(id string) {
	old := c.allocationByID[id]
	if old == nil || old.terminal() || len(old.TaskStates) > 0 || c.agentDown(old) {
		return
	}
	c.applyFailNext(old)
	now := time.Now()
	c.updateAllocation(old, func(a *allocation) {
		a.TaskStates = map[string]*taskState{}
		for _, t := range a.group.Tasks {
			usage := jobspec.TaskState{CPU: float64(t.CPU) / 10, RSS: uint64(t.Memory) << 18, MaxRSS: uint64(t.Memory) << 19}
			a.TaskStates[t.Name] = &taskState{
				State: "pending", Events: []jobspec.Event{jobspec.Received(now), jobspec.TaskSetup(now)}, measured: usage,
			}
			a.taskStarted(t)
		}
		a.deriveStatus()
	})
	c.launchTasks(c.allocationByID[id], c.allocationByID[id].group.Tasks)
}

// launchTasks starts the processes of tasks whose records are already running. For tasks without a process it
// schedules the simulated exit.
func (c *Cluster) launchTasks(a *allocation, tasks []jobspec.Task) {
	code, failing := c.exitCodes[a.ID]
	for _, t := range tasks {
		exit, fails := code, failing
		if n, err := strconv.Atoi(t.Env["SIM_EXIT"]); err == nil {
			exit, fails = n, true
		}
		batch := a.Job.Type == "batch" || a.Job.Type == "sysbatch"
		switch {
		case fails:
			c.afterStep(func() { c.exitTask(a.ID, t, exit) })
		case t.Command != nil:
			c.startTask(a, t)
		case batch && !t.Sidecar:
			c.afterStep(func() { c.exitTask(a.ID, t, 0) })
		}
	}
	c.afterStep(func() { c.afterStep(func() { c.markHealthy(a.ID) }) }) // after tasks that fail immediately
}

// applyFailNext makes the tasks of an allocation fail if FailNext requested that for its job.
func (c *Cluster) applyFailNext(a *allocation) {
	k := key{namespace: a.Namespace, id: a.JobID}
	if c.failNext[k] > 0 {
		c.failNext[k]--
		c.exitCodes[a.ID] = 1
	}
}

// exitTask ends a task that has no process. If the restart policy permits, the task is started again.
func (c *Cluster) exitTask(id string, t jobspec.Task, code int) {
	old := c.allocationByID[id]
	if old == nil || old.terminal() || old.TaskStates[t.Name] == nil || old.TaskStates[t.Name].State != "running" ||
		c.agentDown(old) {
		return
	}
	r := c.restartTrackers[id+"/"+t.Name]
	if r == nil {
		r = newRestartTracker(old.Job.Type, old.group)
		c.restartTrackers[id+"/"+t.Name] = r
	}
	decision := r.decide(code, time.Now())
	c.updateAllocation(old, func(a *allocation) {
		a.taskExited(t, code, 0, decision)
		a.killDependentTasks()
		a.deriveStatus()
	})
	if now := c.allocationByID[id]; now.terminal() {
		c.killTasks(id, "")
	}
	if decision.restart {
		c.afterDelay(c.capDelay(decision.delay), func() { c.restartTask(id, t) })
	}
	c.clientStatusChanged(old, c.allocationByID[id])
}

// restartTask starts a task that is waiting for a restart.
func (c *Cluster) restartTask(id string, t jobspec.Task) {
	old := c.allocationByID[id]
	if old == nil || old.terminal() || old.TaskStates[t.Name].State != "pending" || c.agentDown(old) {
		return
	}
	c.updateAllocation(old, func(a *allocation) {
		a.taskStarted(t)
		a.deriveStatus()
	})
	c.launchTasks(c.allocationByID[id], []jobspec.Task{t})
}

// finishStop ends an allocation whose desired status is stop.
func (c *Cluster) finishStop(id string) {
	old := c.allocationByID[id]
	if old == nil || old.ClientStatus == "complete" || old.ClientStatus == "failed" || c.agentDown(old) {
		return
	}
	delete(c.exitCodes, id)
	c.cancelFollowup(old)
	now := time.Now()
	c.updateAllocation(old, func(a *allocation) {
		for _, t := range a.group.Tasks {
			s := a.TaskStates[t.Name]
			if s == nil || s.State == "dead" {
				continue
			}
			events := []jobspec.Event{killingEvent(now)}
			if s.State == "running" {
				events = append(events, sigkillEvent(now, t), jobspec.NewEvent(now, "Killed", "Task successfully killed", nil))
			}
			a.updateTask(t.Name, func(s *taskState) { s.State, s.FinishedAt = "dead", stamp(now) }, events...)
		}
		a.deriveStatus()
	})
}

// killingEvent announces that a task will be killed.
func killingEvent(at time.Time) jobspec.Event {
	e := jobspec.NewEvent(at, "Killing", "Sent interrupt. Waiting 5s before force killing",
		map[string]string{"kill_timeout": "5s"})
	e.KillTimeout = 5 * time.Second
	return e
}

// sigkillEvent reports a program killed by SIGKILL.
func sigkillEvent(at time.Time, t jobspec.Task) jobspec.Event {
	return terminatedEvent(at, t.Driver, 137, 9)
}
