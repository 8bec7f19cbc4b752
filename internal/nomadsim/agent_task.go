package nomadsim

import (
	"context"
	"time"
)

// allocRunner runs the tasks of an allocation. It contains a task until the task is killed or dead.
type allocRunner struct {
	tasks map[string]*taskRunner // guarded by Cluster.mu
}

// taskRunner runs a task as a process, with its restarts. Only the taskRunner in Cluster.runners may change the
// record of its task.
type taskRunner struct {
	c          *Cluster
	allocation string
	task       Task
	kill       context.CancelFunc
	exited     chan struct{}
	process    *process // guarded by Cluster.mu; nil while no process is running
}

// syncProcesses starts and kills processes so that they match the records of these allocations. It returns the
// runners that the caller must wait for. Processes that match continue. c.mu is held.
func (c *Cluster) syncProcesses(allocations []*allocation) (ending []*taskRunner) {
	if c.processesOff {
		return nil
	}
	for _, old := range allocations {
		now, r := c.allocationByID[old.ID], c.runners[old.ID]
		wanted := now.tasksWithProcess()
		if r != nil {
			for name := range r.tasks {
				if _, keep := wanted[name]; !keep {
					ending = append(ending, c.killTasks(old.ID, name)...)
				}
			}
		}
		for _, t := range wanted {
			c.startTask(now, t)
		}
		if now == nil {
			c.host.dropDir(old.ID)
		}
	}
	return ending
}

func waitForExit(ending []*taskRunner) {
	for _, tr := range ending {
		<-tr.exited
	}
}

// killTasks kills a task of an allocation, or all of its tasks for "". It returns the runners that the caller must wait
// for. c.mu is held.
func (c *Cluster) killTasks(allocation, task string) (ending []*taskRunner) {
	r := c.runners[allocation]
	if r == nil {
		return nil
	}
	for name, tr := range r.tasks {
		if task == "" || task == name {
			tr.kill()
			delete(r.tasks, name)
			ending = append(ending, tr)
		}
	}
	if len(r.tasks) == 0 {
		delete(c.runners, allocation)
	}
	return ending
}

// tasksWithProcess returns the tasks of the allocation that should have a process, by name. a may be nil.
func (a *allocation) tasksWithProcess() map[string]Task {
	if a == nil || a.terminal() {
		return nil
	}
	var tasks map[string]Task
	for _, t := range a.group.Tasks {
		if t.Command != nil && a.TaskStates[t.Name].State == "running" {
			if tasks == nil {
				tasks = map[string]Task{}
			}
			tasks[t.Name] = t
		}
	}
	return tasks
}

// startTask starts a task of an allocation, unless it is already running. c.mu is held.
func (c *Cluster) startTask(a *allocation, t Task) {
	r := c.runners[a.ID]
	if r != nil && r.tasks[t.Name] != nil || c.processesOff || !c.host.acquire() {
		return
	}
	if r == nil {
		r = &allocRunner{map[string]*taskRunner{}}
		c.runners[a.ID] = r
	}
	ctx, kill := context.WithCancel(c.host.ctx)
	tr := &taskRunner{c: c, allocation: a.ID, task: t, kill: kill, exited: make(chan struct{})}
	r.tasks[t.Name] = tr
	go func() {
		defer c.host.release()
		defer close(tr.exited)
		defer kill()
		tr.run(ctx, a)
	}()
}

// run runs the task and restarts it as long as its restart policy permits. The code that kills the task also writes
// the reason to its record.
func (tr *taskRunner) run(ctx context.Context, a *allocation) {
	t := tr.task
	policy := newRestartTracker(a.Job.Type, a.group)
	for again := false; ; again = true {
		d, err := tr.c.host.dir(a)
		if err != nil {
			return
		}
		p, err := d.startTask(ctx, a, t)
		if ctx.Err() != nil && p == nil {
			return
		}
		if err != nil {
			tr.update(func(a *allocation) { a.taskStartFailed(t, err) })
			return
		}
		tr.setProcess(p)
		if again {
			tr.update(func(a *allocation) { a.taskStarted(t) })
		}
		code, signal := p.wait()
		tr.setProcess(nil)
		if ctx.Err() != nil {
			return
		}
		decision := policy.decide(code, time.Now())
		tr.update(func(a *allocation) { a.taskExited(t, code, signal, decision) })
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
	tr.c.mu.Lock()
	defer tr.c.mu.Unlock()
	tr.process = p
}

// update changes the record of the allocation, unless another runner has replaced this one. It also kills the tasks
// that are dead after the change.
func (tr *taskRunner) update(change func(a *allocation)) {
	c := tr.c
	c.mu.Lock()
	defer c.mu.Unlock()
	old, r := c.allocationByID[tr.allocation], c.runners[tr.allocation]
	if old == nil || r == nil || r.tasks[tr.task.Name] != tr {
		return
	}
	if c.agentDown(old) { // no agent reports the change
		c.killTasks(tr.allocation, tr.task.Name)
		return
	}
	c.updateAllocation(old, func(a *allocation) {
		change(a)
		a.killDependentTasks()
		a.deriveStatus()
	})
	now := c.allocationByID[tr.allocation]
	for name := range r.tasks {
		if now.TaskStates[name].State == "dead" {
			c.killTasks(tr.allocation, name)
		}
	}
	c.clientStatusChanged(old, now)
}
