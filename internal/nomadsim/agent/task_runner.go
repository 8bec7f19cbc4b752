package agent

import (
	"context"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// allocRunner runs the tasks of an allocation. It contains a task until the task is killed or dead.
type allocRunner struct {
	tasks map[string]*taskRunner // used in transactions
}

// taskRunner runs a task as a process, with its restarts. Only the taskRunner in agents.runners may change the
// record of its task.
type taskRunner struct {
	agents     *Agents
	allocation string
	task       jobspec.Task
	kill       context.CancelFunc
	exited     chan struct{}
	process    *process // used in transactions; nil while no process is running
}

// SyncProcesses starts and kills processes so that they match the records of these allocations. It returns the
// exits that the caller must wait for. Processes that match continue.
func (ag *Agents) SyncProcesses(st *store.State, allocations []*store.Allocation) (exits []<-chan struct{}) {
	if ag.processesOff {
		return nil
	}
	for _, old := range allocations {
		now, r := st.AllocationByID(old.ID), ag.runners[old.ID]
		wanted := tasksWithProcess(now)
		if r != nil {
			for name := range r.tasks {
				if _, keep := wanted[name]; !keep {
					exits = append(exits, ag.killTasks(old.ID, name)...)
				}
			}
		}
		for _, t := range wanted {
			ag.startTask(st, now, t)
		}
		if now == nil {
			ag.dropDir(old.ID)
		}
	}
	return exits
}

// killTasks kills a task of an allocation, or all of its tasks for "". It returns the exits that the caller must wait
// for.
func (ag *Agents) killTasks(allocation, task string) (exits []<-chan struct{}) {
	r := ag.runners[allocation]
	if r == nil {
		return nil
	}
	for name, tr := range r.tasks {
		if task == "" || task == name {
			tr.kill()
			delete(r.tasks, name)
			exits = append(exits, tr.exited)
		}
	}
	if len(r.tasks) == 0 {
		delete(ag.runners, allocation)
	}
	return exits
}

// tasksWithProcess returns the tasks of the allocation that should have a process, by name. a may be nil.
func tasksWithProcess(a *store.Allocation) map[string]jobspec.Task {
	if a == nil || a.Terminal() {
		return nil
	}
	var tasks map[string]jobspec.Task
	for _, t := range a.Group.Tasks {
		if t.Command != nil && a.TaskStates[t.Name].State == "running" {
			if tasks == nil {
				tasks = map[string]jobspec.Task{}
			}
			tasks[t.Name] = t
		}
	}
	return tasks
}

// startTask starts a task of an allocation, unless it is already running.
func (ag *Agents) startTask(st *store.State, a *store.Allocation, t jobspec.Task) {
	r := ag.runners[a.ID]
	if r != nil && r.tasks[t.Name] != nil || ag.processesOff || !ag.store.Acquire() {
		return
	}
	if r == nil {
		r = &allocRunner{map[string]*taskRunner{}}
		ag.runners[a.ID] = r
	}
	ctx, kill := context.WithCancel(ag.store.Context())
	tr := &taskRunner{agents: ag, allocation: a.ID, task: t, kill: kill, exited: make(chan struct{})}
	r.tasks[t.Name] = tr
	go func() {
		defer ag.store.Release()
		defer close(tr.exited)
		defer kill()
		tr.run(ctx, a)
	}()
}

// run runs the task and restarts it as long as its restart policy permits. The code that kills the task also writes
// the reason to its record.
func (tr *taskRunner) run(ctx context.Context, a *store.Allocation) {
	t := tr.task
	policy := newRestartTracker(a.Job.Type, a.Group, t)
	for again := false; ; again = true {
		d, err := tr.agents.Dir(a)
		if err != nil {
			return
		}
		p, err := d.startTask(ctx, a, t)
		if ctx.Err() != nil && p == nil {
			return
		}
		if err != nil {
			tr.update(func(a *store.Allocation) { taskStartFailed(a, t, err) })
			return
		}
		tr.setProcess(p)
		if again {
			tr.update(func(a *store.Allocation) { taskStarted(a, t) })
		}
		code, signal := p.wait()
		tr.setProcess(nil)
		if ctx.Err() != nil {
			return
		}
		decision := policy.decide(code, time.Now())
		tr.update(func(a *store.Allocation) { taskExited(a, t, code, signal, decision) })
		if !decision.restart {
			return
		}
		select {
		case <-time.After(decision.delay):
		case <-ctx.Done():
			return
		}
	}
}

func (tr *taskRunner) setProcess(p *process) {
	tr.agents.store.Update(func(*store.State) { tr.process = p })
}

// update changes the record of the allocation, unless another runner has replaced this one. It also kills the tasks
// that are dead after the change.
func (tr *taskRunner) update(change func(a *store.Allocation)) {
	tr.agents.store.Update(func(st *store.State) { tr.agents.updateTask(st, tr, change) })
}

func (ag *Agents) updateTask(st *store.State, tr *taskRunner, change func(a *store.Allocation)) {
	old, r := st.AllocationByID(tr.allocation), ag.runners[tr.allocation]
	if old == nil || r == nil || r.tasks[tr.task.Name] != tr {
		return
	}
	if st.AgentDown(old) { // no agent reports the change
		ag.killTasks(tr.allocation, tr.task.Name)
		return
	}
	var started []jobspec.Task
	st.UpdateAllocation(old, func(a *store.Allocation) {
		change(a)
		killDependentTasks(a)
		started = startTasks(a)
		a.DeriveStatus()
	})
	now := st.AllocationByID(tr.allocation)
	for name := range r.tasks {
		if now.TaskStates[name].State == "dead" {
			ag.killTasks(tr.allocation, name)
		}
	}
	ag.launchTasks(st, now, started)
	ag.report(st, old, now)
}

// Processes returns the process IDs of an allocation's tasks, by task.
func (ag *Agents) Processes(_ *store.State, allocation string) map[string]int {
	all := map[string]int{}
	if r := ag.runners[allocation]; r != nil {
		for name, tr := range r.tasks {
			if tr.process != nil {
				all[name] = tr.process.cmd.Process.Pid
			}
		}
	}
	return all
}

// Drop kills the tasks of deleted allocations and drops their directories.
func (ag *Agents) Drop(all []*store.Allocation) {
	for _, a := range all {
		ag.killTasks(a.ID, "")
		ag.dropDir(a.ID)
	}
}

// DelayTasks makes the agents start no processes until StartDelayedTasks is called.
func (ag *Agents) DelayTasks(*store.State) { ag.processesOff = true }

// ExitedTask is a task that has run and exited.
type ExitedTask struct {
	Allocation, Task string
	Events           []jobspec.Event
}

// StartDelayedTasks starts the processes that DelayTasks has delayed. It returns the tasks that are described as having
// exited.
func (ag *Agents) StartDelayedTasks(st *store.State) (exited []ExitedTask) {
	ag.processesOff = false
	ag.SyncProcesses(st, st.Allocations)
	for _, a := range st.Allocations {
		for _, t := range a.Group.Tasks {
			if s := a.TaskStates[t.Name]; s.State == "dead" && s.StartedAt != nil {
				exited = append(exited, ExitedTask{a.ID, t.Name, s.Events})
			}
		}
	}
	return exited
}
