package sim

import (
	"strconv"
	"time"
)

// What clients do with the allocations that are placed on them, a step at a time.

// receive starts an allocation that was placed.
func (c *Cluster) receive(id string) {
	old := c.byID[id]
	if old == nil || old.terminal() || len(old.TaskStates) > 0 || c.dead(old) {
		return
	}
	c.doom(old)
	now := time.Now()
	c.change(old, func(a *allocation) {
		a.TaskStates = map[string]*taskState{}
		for _, t := range a.group.Tasks {
			a.TaskStates[t.Name] = &taskState{State: "pending", Events: []Event{Received(now), TaskSetup(now)}, measured: TaskState{
				CPU: float64(t.CPU) / 10, RSS: uint64(t.Memory) << 18, MaxRSS: uint64(t.Memory) << 19,
			}}
			a.started(t)
		}
		a.settle()
	})
	c.begun(c.byID[id], c.byID[id].group.Tasks)
}

// begun goes on with tasks whose record says that they were started: with their processes or, where they have none,
// with what comes of them.
func (c *Cluster) begun(a *allocation, tasks []Task) {
	code, doomed := c.doomed[a.ID]
	for _, t := range tasks {
		exit, fails := code, doomed
		if n, err := strconv.Atoi(t.Env["SIM_EXIT"]); err == nil {
			exit, fails = n, true
		}
		batch := a.Job.Type == "batch" || a.Job.Type == "sysbatch"
		switch {
		case fails:
			c.later(func() { c.exits(a.ID, t, exit) })
		case t.Command != nil:
			c.start(a, t)
		case batch && !t.Sidecar:
			c.later(func() { c.exits(a.ID, t, 0) })
		}
	}
	c.later(func() { c.later(func() { c.judge(a.ID) }) }) // after what fails at once
}

// doom lets an allocation whose job is to fail come up no more.
func (c *Cluster) doom(a *allocation) {
	k := key{namespace: a.Namespace, id: a.JobID}
	if c.failing[k] > 0 {
		c.failing[k]--
		c.doomed[a.ID] = 1
	}
}

// FailNext lets the next allocations of a job that start, or that are restarted, exit with code 1 as often as their
// restart policy starts them. The environment SIM_EXIT=2 in a task does that with the code 2, each time.
func (c *Cluster) FailNext(namespace, job string, allocations int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing[key{namespace: namespace, id: job}] = allocations
}

// exits ends a task that is no process, and starts it again where its policy wants that.
func (c *Cluster) exits(id string, t Task, code int) {
	old := c.byID[id]
	if old == nil || old.terminal() || old.TaskStates[t.Name] == nil || old.TaskStates[t.Name].State != "running" || c.dead(old) {
		return
	}
	r := c.tries[id+"/"+t.Name]
	if r == nil {
		r = newRestarts(old.Job.Type, old.group)
		c.tries[id+"/"+t.Name] = r
	}
	v := r.after(code, time.Now())
	c.change(old, func(a *allocation) {
		a.ended(t, code, 0, v)
		a.endSiblings()
		a.settle()
	})
	if now := c.byID[id]; now.terminal() {
		c.kill(id, "")
	}
	if v.again {
		c.after(c.delayed(v.delay), func() { c.startAgain(id, t) })
	}
	c.settled(old, c.byID[id])
}

// startAgain starts a task that waits for a restart.
func (c *Cluster) startAgain(id string, t Task) {
	old := c.byID[id]
	if old == nil || old.terminal() || old.TaskStates[t.Name].State != "pending" || c.dead(old) {
		return
	}
	c.change(old, func(a *allocation) {
		a.started(t)
		a.settle()
	})
	c.begun(c.byID[id], []Task{t})
}

// settled follows up on an allocation whose client reports another status: what fails is unhealthy to its deployment and,
// within its policy, rescheduled.
func (c *Cluster) settled(before, now *allocation) {
	if before.ClientStatus == now.ClientStatus || now.DesiredStatus != "run" || now.ClientStatus != "failed" {
		return
	}
	delete(c.doomed, now.ID)
	j := c.job(now.Namespace, now.JobID)
	if j == nil || !now.placed || j.Stop || j.Type == "system" || j.Type == "sysbatch" {
		return
	}
	if d := c.deploymentByID(now.DeploymentID); d != nil && d.active() && !now.verdict() {
		c.judged(now, false)
	}
	if now = c.byID[now.ID]; !now.mayBeRescheduled() {
		return
	}
	index := c.step(tableEvaluations, tableAllocations)
	noticed := j.pending("alloc-failure", index, 0)
	again := j.pending("alloc-reschedule", index, j.JobModifyIndex)
	delay := c.delayed(now.group.delay(j.Type, now.rescheduled()))
	again.WaitUntil, again.PreviousEval = stamp(time.Now().Add(delay)), noticed.ID
	again.StatusDescription, noticed.NextEval = "created for delayed rescheduling", again.ID
	c.queue(noticed)
	c.record(again)
	marked := now.copy()
	marked.FollowupEvalID, marked.planned = again.ID, index
	c.amend(index, marked)
	c.after(delay, func() {
		a := c.byID[now.ID]
		if a == nil || a.DesiredStatus != "run" {
			return
		}
		b := a.copy()
		b.due = true
		c.amend(c.step(tableAllocations), b)
		fired := *again
		fired.StatusDescription = ""
		c.process(&fired)
	})
}

// mayBeRescheduled reports whether the policy lets the allocation, which failed, be replaced.
func (a *allocation) mayBeRescheduled() bool {
	r := a.group.Reschedule
	switch {
	case r == nil:
		return a.Job.Type == "service" || a.rescheduled() < 1
	case r.Unlimited:
		return true
	}
	return a.rescheduled() < r.Attempts
}

// stopped ends an allocation that is to stop.
func (c *Cluster) stopped(id string) {
	old := c.byID[id]
	if old == nil || old.ClientStatus == "complete" || old.ClientStatus == "failed" || c.dead(old) {
		return
	}
	delete(c.doomed, id)
	c.reported(old)
	now := time.Now()
	c.change(old, func(a *allocation) {
		for _, t := range a.group.Tasks {
			s := a.TaskStates[t.Name]
			if s == nil || s.State == "dead" {
				continue
			}
			events := []Event{interrupt(now)}
			if s.State == "running" {
				events = append(events, killed(now, t), event(now, "Killed", "Task successfully killed", nil))
			}
			a.setTask(t.Name, func(s *taskState) { s.State, s.FinishedAt = "dead", stamp(now) }, events...)
		}
		a.settle()
	})
}

// interrupt announces that a task is killed.
func interrupt(at time.Time) Event {
	e := event(at, "Killing", "Sent interrupt. Waiting 5s before force killing", map[string]string{"kill_timeout": "5s"})
	e.KillTimeout = 5 * time.Second
	return e
}

// killed is the end of a program that was killed.
func killed(at time.Time, t Task) Event { return exited(at, t.Driver, 137, 9) }
