package sim

import (
	"context"
	"time"
)

// allocRunner is what runs of an allocation, by task: a task is in it until it is dead.
type allocRunner struct {
	tasks map[string]*taskRunner // guarded by c.mu
}

// taskRunner is a task that runs as a process, restarts included. The one in Cluster.runners is the only one that may change the
// task's record.
type taskRunner struct {
	c          *Cluster
	allocation string
	task       Task
	kill       context.CancelFunc
	exited     chan struct{}
	process    *process // guarded by c.mu; nil while none runs
}

// syncProcesses lets run what is described to run in one of these allocations, which may be gone or others than before,
// and returns what has to end for it. What runs already and should, goes on as it is. c.mu is held.
func (c *Cluster) syncProcesses(allocations []*allocation) (ending []*taskRunner) {
	if c.processesOff {
		return nil
	}
	for _, old := range allocations {
		now, r := c.allocationByID[old.ID], c.runners[old.ID]
		wanted := now.tasksWithProcess()
		if r != nil {
			for name := range r.tasks {
				if _, goesOn := wanted[name]; !goesOn {
					ending = append(ending, c.kill(old.ID, name)...)
				}
			}
		}
		for _, t := range wanted {
			c.start(now, t)
		}
		if now == nil {
			c.host.dropDir(old.ID)
		}
	}
	return ending
}

func waitForExit(ending []*taskRunner) {
	for _, l := range ending {
		<-l.exited
	}
}

// kill ends a task of an allocation, or all of them for "", and returns what has to end for it. c.mu is held.
func (c *Cluster) kill(allocation, task string) (ending []*taskRunner) {
	r := c.runners[allocation]
	if r == nil {
		return nil
	}
	for name, l := range r.tasks {
		if task == "" || task == name {
			l.kill()
			delete(r.tasks, name)
			ending = append(ending, l)
		}
	}
	if len(r.tasks) == 0 {
		delete(c.runners, allocation)
	}
	return ending
}

// tasksWithProcess returns the tasks of the allocation that are to be processes, by name; nil when there is no allocation.
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

// start starts a task of an allocation, unless it runs. c.mu is held.
func (c *Cluster) start(a *allocation, t Task) {
	r := c.runners[a.ID]
	if r != nil && r.tasks[t.Name] != nil || c.processesOff || !c.host.acquire() {
		return
	}
	if r == nil {
		r = &allocRunner{map[string]*taskRunner{}}
		c.runners[a.ID] = r
	}
	ctx, kill := context.WithCancel(c.host.ctx)
	l := &taskRunner{c: c, allocation: a.ID, task: t, kill: kill, exited: make(chan struct{})}
	r.tasks[t.Name] = l
	go func() {
		defer c.host.release()
		defer close(l.exited)
		defer kill()
		l.run(ctx, a)
	}()
}

// run runs the task again and again, for as long as its restart policy wants it. Who kills it says why in its record.
func (l *taskRunner) run(ctx context.Context, a *allocation) {
	t := l.task
	policy := newRestartTracker(a.Job.Type, a.group)
	for again := false; ; again = true {
		d, err := l.c.host.dir(a)
		if err != nil {
			return
		}
		p, err := d.startTask(ctx, a, t)
		if ctx.Err() != nil && p == nil {
			return
		}
		if err != nil {
			l.update(func(a *allocation) { a.taskStartFailed(t, err) })
			return
		}
		l.setProcess(p)
		if again {
			l.update(func(a *allocation) { a.taskStarted(t) })
		}
		code, signal := p.wait()
		l.setProcess(nil)
		if ctx.Err() != nil {
			return
		}
		v := policy.decide(code, time.Now())
		l.update(func(a *allocation) { a.taskExited(t, code, signal, v) })
		if !v.restart {
			return
		}
		select {
		case <-time.After(v.delay):
		case <-ctx.Done():
			return
		}
	}
}

func (l *taskRunner) setProcess(p *process) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.process = p
}

// update changes the record of the allocation, unless somebody else has taken the task over, and kills the tasks that
// no longer run by it.
func (l *taskRunner) update(change func(a *allocation)) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	old, r := c.allocationByID[l.allocation], c.runners[l.allocation]
	if old == nil || r == nil || r.tasks[l.task.Name] != l {
		return
	}
	if c.agentDown(old) { // nobody is there to report it
		c.kill(l.allocation, l.task.Name)
		return
	}
	c.updateAllocation(old, func(a *allocation) {
		change(a)
		a.killDependentTasks()
		a.deriveStatus()
	})
	now := c.allocationByID[l.allocation]
	for name := range r.tasks {
		if now.TaskStates[name].State == "dead" {
			c.kill(l.allocation, name)
		}
	}
	c.clientStatusChanged(old, now)
}
