package agent

import (
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file simulates the client agents: they start, restart and stop the allocations of their nodes, one step at a
// time.

// Start starts an allocation one step later.
func (ag *Agents) Start(st *store.State, id string) {
	st.AfterStep(func(st *store.State) { ag.startAllocation(st, id) })
}

// Stop kills the tasks of an allocation whose desired status is stop. One step after they have exited, the client
// reports the stop.
func (ag *Agents) Stop(st *store.State, id string) {
	st.AfterStep(func(st *store.State) { ag.finishStop(st, id) }, ag.killTasks(id, "")...)
}

// startAllocation starts an allocation on its node.
func (ag *Agents) startAllocation(st *store.State, id string) {
	old := st.AllocationByID(id)
	if old == nil || old.Terminal() || len(old.TaskStates) > 0 || st.AgentDown(old) {
		return
	}
	ag.applyFailNext(old)
	now := time.Now()
	var started []jobspec.Task
	st.UpdateAllocation(old, func(a *store.Allocation) {
		a.TaskStates = map[string]*store.TaskState{}
		for _, t := range a.Group.Tasks {
			usage := jobspec.TaskState{CPU: float64(t.CPU) / 10, RSS: uint64(t.Memory) << 18, MaxRSS: uint64(t.Memory) << 19}
			a.TaskStates[t.Name] = &store.TaskState{
				State: "pending", Events: []jobspec.Event{jobspec.Received(now)}, Measured: usage,
			}
		}
		started = startTasks(a)
		a.DeriveStatus()
	})
	ag.launchTasks(st, st.AllocationByID(id), started)
}

// launchTasks starts the processes of tasks whose records are already running. For tasks without a process it
// schedules the simulated exit.
func (ag *Agents) launchTasks(st *store.State, a *store.Allocation, tasks []jobspec.Task) {
	code, failing := ag.exitCodes[a.ID]
	for _, t := range tasks {
		exit, fails := code, failing
		if n, err := strconv.Atoi(t.Env["SIM_EXIT"]); err == nil {
			exit, fails = n, true
		}
		batch := a.Job.Type == "batch" || a.Job.Type == "sysbatch"
		switch {
		case fails:
			st.AfterStep(func(st *store.State) { ag.exitTask(st, a.ID, t, exit) })
		case t.Command != nil:
			ag.startTask(st, a, t)
		case (batch || t.Hook != "") && !t.Sidecar:
			st.AfterStep(func(st *store.State) { ag.exitTask(st, a.ID, t, 0) })
		}
	}
	if len(tasks) == 0 || mainTasksWait(a) {
		return
	}
	// Two steps, so that tasks that fail immediately have exited before the health is set.
	st.AfterStep(func(st *store.State) { st.AfterStep(func(st *store.State) { ag.servers.MarkHealthy(st, a.ID) }) })
}

// report reports an updated allocation to the servers.
func (ag *Agents) report(st *store.State, before, now *store.Allocation) {
	if before.ClientStatus != now.ClientStatus && now.DesiredStatus == "run" && now.ClientStatus == "failed" {
		delete(ag.exitCodes, now.ID)
	}
	ag.servers.ClientStatusChanged(st, before, now)
}

// FailNextStarts makes the tasks of the job's next started or restarted allocations exit with code 1.
func (ag *Agents) FailNextStarts(_ *store.State, namespace, job string, allocations int) {
	ag.failNext[[2]string{namespace, job}] = allocations
}

// applyFailNext makes the tasks of an allocation fail if FailNextStarts requested that for its job.
func (ag *Agents) applyFailNext(a *store.Allocation) {
	k := [2]string{a.Namespace, a.JobID}
	if ag.failNext[k] > 0 {
		ag.failNext[k]--
		ag.exitCodes[a.ID] = 1
	}
}

// exitTask simulates the exit of a task that has no process. If the restart policy permits, the task is started again.
func (ag *Agents) exitTask(st *store.State, id string, t jobspec.Task, code int) {
	old := st.AllocationByID(id)
	if old == nil || old.Terminal() || old.TaskStates[t.Name] == nil || old.TaskStates[t.Name].State != "running" ||
		st.AgentDown(old) {
		return
	}
	r := ag.restartTrackers[id+"/"+t.Name]
	if r == nil {
		r = newRestartTracker(old.Job.Type, old.Group, t)
		ag.restartTrackers[id+"/"+t.Name] = r
	}
	decision := r.decide(code, time.Now())
	var started []jobspec.Task
	st.UpdateAllocation(old, func(a *store.Allocation) {
		taskExited(a, t, code, 0, decision)
		killDependentTasks(a)
		started = startTasks(a)
		a.DeriveStatus()
	})
	ag.launchTasks(st, st.AllocationByID(id), started)
	if now := st.AllocationByID(id); now.Terminal() {
		ag.killTasks(id, "")
	}
	if decision.restart {
		st.AfterDelay(st.CapDelay(decision.delay), func(st *store.State) { ag.restartTask(st, id, t) })
	}
	ag.report(st, old, st.AllocationByID(id))
}

// restartTask starts a task that is waiting for a restart.
func (ag *Agents) restartTask(st *store.State, id string, t jobspec.Task) {
	old := st.AllocationByID(id)
	if old == nil || old.Terminal() || old.TaskStates[t.Name].State != "pending" || st.AgentDown(old) {
		return
	}
	st.UpdateAllocation(old, func(a *store.Allocation) {
		taskStarted(a, t)
		a.DeriveStatus()
	})
	ag.launchTasks(st, st.AllocationByID(id), []jobspec.Task{t})
}

// finishStop completes the stop of an allocation.
func (ag *Agents) finishStop(st *store.State, id string) {
	old := st.AllocationByID(id)
	if old == nil || old.ClientStatus == "complete" || old.ClientStatus == "failed" || st.AgentDown(old) {
		return
	}
	delete(ag.exitCodes, id)
	st.CancelFollowup(old)
	now := time.Now()
	st.UpdateAllocation(old, func(a *store.Allocation) {
		for _, t := range a.Group.Tasks {
			s := a.TaskStates[t.Name]
			if s == nil || s.State == "dead" {
				continue
			}
			events := []jobspec.Event{killingEvent(now)}
			if s.State == "running" {
				events = append(events, sigkillEvent(now, t), jobspec.NewEvent(now, "Killed", "Task successfully killed", nil))
			}
			a.UpdateTask(t.Name, func(s *store.TaskState) { s.State, s.FinishedAt = "dead", store.Stamp(now) }, events...)
		}
		a.DeriveStatus()
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
