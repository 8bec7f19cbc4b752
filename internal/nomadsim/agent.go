package nomadsim

import (
	"strconv"
	"time"
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
			usage := TaskState{CPU: float64(t.CPU) / 10, RSS: uint64(t.Memory) << 18, MaxRSS: uint64(t.Memory) << 19}
			a.TaskStates[t.Name] = &taskState{
				State: "pending", Events: []Event{Received(now), TaskSetup(now)}, measured: usage,
			}
			a.taskStarted(t)
		}
		a.deriveStatus()
	})
	c.launchTasks(c.allocationByID[id], c.allocationByID[id].group.Tasks)
}

// launchTasks starts the processes of tasks whose records are already running. For tasks without a process it
// schedules the simulated exit.
func (c *Cluster) launchTasks(a *allocation, tasks []Task) {
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

// FailNext makes the tasks of the job's next started or restarted allocations exit with code 1, at every attempt of
// their restart policy. The environment variable SIM_EXIT=2 makes a task exit with code 2 every time.
func (c *Cluster) FailNext(namespace, job string, allocations int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failNext[key{namespace: namespace, id: job}] = allocations
}

// exitTask ends a task that has no process. If the restart policy permits, the task is started again.
func (c *Cluster) exitTask(id string, t Task, code int) {
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
func (c *Cluster) restartTask(id string, t Task) {
	old := c.allocationByID[id]
	if old == nil || old.terminal() || old.TaskStates[t.Name].State != "pending" || c.agentDown(old) {
		return
	}
	c.updateAllocation(old, func(a *allocation) {
		a.taskStarted(t)
		a.deriveStatus()
	})
	c.launchTasks(c.allocationByID[id], []Task{t})
}

// clientStatusChanged handles an allocation whose client status changed. A failed allocation is unhealthy in its
// deployment and is rescheduled if its policy permits.
func (c *Cluster) clientStatusChanged(before, now *allocation) {
	if before.ClientStatus == now.ClientStatus || now.DesiredStatus != "run" || now.ClientStatus != "failed" {
		return
	}
	delete(c.exitCodes, now.ID)
	j := c.job(now.Namespace, now.JobID)
	if j == nil || !now.scheduled || j.Stop || j.Type == "system" || j.Type == "sysbatch" {
		return
	}
	if d := c.deploymentByID(now.DeploymentID); d != nil && d.active() && !now.hasHealth() {
		c.setAllocHealth(now, false)
	}
	if now = c.allocationByID[now.ID]; !now.canReschedule() {
		return
	}
	index := c.nextIndex(tableEvaluations, tableAllocations)
	failure := j.newPendingEvaluation("alloc-failure", index, 0)
	followup := j.newPendingEvaluation("alloc-reschedule", index, j.JobModifyIndex)
	delay := c.capDelay(now.group.delay(j.Type, now.rescheduleCount()))
	followup.WaitUntil, followup.PreviousEval = stamp(time.Now().Add(delay)), failure.ID
	followup.StatusDescription, failure.NextEval = "created for delayed rescheduling", followup.ID
	c.enqueue(failure)
	c.storeEvaluation(followup)
	waiting := now.copy()
	waiting.FollowupEvalID, waiting.planIndex = followup.ID, index
	c.storeAllocations(index, waiting)
	c.afterDelay(delay, func() {
		a := c.allocationByID[now.ID]
		if a == nil || a.DesiredStatus != "run" {
			return
		}
		b := a.copy()
		b.replaceNow = true
		c.storeAllocations(c.nextIndex(tableAllocations), b)
		due := *followup
		due.StatusDescription = ""
		c.processEvaluation(&due)
	})
}

// canReschedule reports whether the reschedule policy permits a replacement of the failed allocation.
func (a *allocation) canReschedule() bool {
	r := a.group.Reschedule
	switch {
	case r == nil:
		return a.Job.Type == "service" || a.rescheduleCount() < 1
	case r.Unlimited:
		return true
	}
	return a.rescheduleCount() < r.Attempts
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
			events := []Event{killingEvent(now)}
			if s.State == "running" {
				events = append(events, sigkillEvent(now, t), newEvent(now, "Killed", "Task successfully killed", nil))
			}
			a.updateTask(t.Name, func(s *taskState) { s.State, s.FinishedAt = "dead", stamp(now) }, events...)
		}
		a.deriveStatus()
	})
}

// killingEvent announces that a task will be killed.
func killingEvent(at time.Time) Event {
	e := newEvent(at, "Killing", "Sent interrupt. Waiting 5s before force killing",
		map[string]string{"kill_timeout": "5s"})
	e.KillTimeout = 5 * time.Second
	return e
}

// sigkillEvent reports a program killed by SIGKILL.
func sigkillEvent(at time.Time, t Task) Event { return terminatedEvent(at, t.Driver, 137, 9) }
