package nomadsim

import (
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// This file simulates the client agents: they start, restart and stop the allocations of their nodes, one step at a
// time.

// start starts an allocation one step later.
func (ag *agents) start(st *state, id string) {
	st.afterStep(func(st *state) { ag.startAllocation(st, id) })
}

// stop kills the tasks of an allocation whose desired status is stop. One step after they have exited, the client
// reports the stop.
func (ag *agents) stop(st *state, id string) {
	st.afterStep(func(st *state) { ag.finishStop(st, id) }, ag.killTasks(id, "")...)
}

// startAllocation starts an allocation on its node.
func (ag *agents) startAllocation(st *state, id string) {
	old := st.allocationByID(id)
	if old == nil || old.terminal() || len(old.TaskStates) > 0 || st.agentDown(old) {
		return
	}
	ag.applyFailNext(old)
	now := time.Now()
	st.updateAllocation(old, func(a *allocation) {
		a.TaskStates = map[string]*taskState{}
		for _, t := range a.group.Tasks {
			usage := jobspec.TaskState{CPU: float64(t.CPU) / 10, RSS: uint64(t.Memory) << 18, MaxRSS: uint64(t.Memory) << 19}
			a.TaskStates[t.Name] = &taskState{
				State: "pending", Events: []jobspec.Event{jobspec.Received(now), jobspec.TaskSetup(now)}, measured: usage,
			}
			taskStarted(a, t)
		}
		a.deriveStatus()
	})
	ag.launchTasks(st, st.allocationByID(id), st.allocationByID(id).group.Tasks)
}

// launchTasks starts the processes of tasks whose records are already running. For tasks without a process it
// schedules the simulated exit.
func (ag *agents) launchTasks(st *state, a *allocation, tasks []jobspec.Task) {
	code, failing := ag.exitCodes[a.ID]
	for _, t := range tasks {
		exit, fails := code, failing
		if n, err := strconv.Atoi(t.Env["SIM_EXIT"]); err == nil {
			exit, fails = n, true
		}
		batch := a.Job.Type == "batch" || a.Job.Type == "sysbatch"
		switch {
		case fails:
			st.afterStep(func(st *state) { ag.exitTask(st, a.ID, t, exit) })
		case t.Command != nil:
			ag.startTask(st, a, t)
		case batch && !t.Sidecar:
			st.afterStep(func(st *state) { ag.exitTask(st, a.ID, t, 0) })
		}
	}
	st.afterStep(func(st *state) {
		st.afterStep(func(st *state) {
			ag.servers.markHealthy(st,
				a.ID)
		})
	}) // after tasks that fail immediately
}

// report reports an updated allocation to the servers.
func (ag *agents) report(st *state, before, now *allocation) {
	if before.ClientStatus != now.ClientStatus && now.DesiredStatus == "run" && now.ClientStatus == "failed" {
		delete(ag.exitCodes, now.ID)
	}
	ag.servers.clientStatusChanged(st, before, now)
}

// failNextStarts makes the tasks of the job's next started or restarted allocations exit with code 1.
func (ag *agents) failNextStarts(_ *state, namespace, job string, allocations int) {
	ag.failNext[[2]string{namespace, job}] = allocations
}

// applyFailNext makes the tasks of an allocation fail if FailNext requested that for its job.
func (ag *agents) applyFailNext(a *allocation) {
	k := [2]string{a.Namespace, a.JobID}
	if ag.failNext[k] > 0 {
		ag.failNext[k]--
		ag.exitCodes[a.ID] = 1
	}
}

// exitTask ends a task that has no process. If the restart policy permits, the task is started again.
func (ag *agents) exitTask(st *state, id string, t jobspec.Task, code int) {
	old := st.allocationByID(id)
	if old == nil || old.terminal() || old.TaskStates[t.Name] == nil || old.TaskStates[t.Name].State != "running" ||
		st.agentDown(old) {
		return
	}
	r := ag.restartTrackers[id+"/"+t.Name]
	if r == nil {
		r = newRestartTracker(old.Job.Type, old.group)
		ag.restartTrackers[id+"/"+t.Name] = r
	}
	decision := r.decide(code, time.Now())
	st.updateAllocation(old, func(a *allocation) {
		taskExited(a, t, code, 0, decision)
		killDependentTasks(a)
		a.deriveStatus()
	})
	if now := st.allocationByID(id); now.terminal() {
		ag.killTasks(id, "")
	}
	if decision.restart {
		st.afterDelay(st.capDelay(decision.delay), func(st *state) { ag.restartTask(st, id, t) })
	}
	ag.report(st, old, st.allocationByID(id))
}

// restartTask starts a task that is waiting for a restart.
func (ag *agents) restartTask(st *state, id string, t jobspec.Task) {
	old := st.allocationByID(id)
	if old == nil || old.terminal() || old.TaskStates[t.Name].State != "pending" || st.agentDown(old) {
		return
	}
	st.updateAllocation(old, func(a *allocation) {
		taskStarted(a, t)
		a.deriveStatus()
	})
	ag.launchTasks(st, st.allocationByID(id), []jobspec.Task{t})
}

// finishStop ends an allocation whose desired status is stop.
func (ag *agents) finishStop(st *state, id string) {
	old := st.allocationByID(id)
	if old == nil || old.ClientStatus == "complete" || old.ClientStatus == "failed" || st.agentDown(old) {
		return
	}
	delete(ag.exitCodes, id)
	st.cancelFollowup(old)
	now := time.Now()
	st.updateAllocation(old, func(a *allocation) {
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
