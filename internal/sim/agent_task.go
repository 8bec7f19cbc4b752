package sim

import (
	"context"
	"time"
)

// run is what runs of an allocation, by task: a task is in it until it is dead.
type run struct {
	tasks map[string]*life // guarded by c.mu
}

// life is a task that runs as a process, restarts included. The one in Cluster.runs is the only one that may change the
// task's record.
type life struct {
	c          *Cluster
	allocation string
	task       Task
	kill       context.CancelFunc
	ended      chan struct{}
	process    *process // guarded by c.mu; nil while none runs
}

// reconcile lets run what is described to run in one of these allocations, which may be gone or others than before,
// and returns what has to end for it. What runs already and should, goes on as it is. c.mu is held.
func (c *Cluster) reconcile(allocations []*allocation) (ending []*life) {
	if c.held {
		return nil
	}
	for _, old := range allocations {
		now, r := c.byID[old.ID], c.runs[old.ID]
		wanted := now.running()
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
			c.host.forget(old.ID)
		}
	}
	return ending
}

func waitFor(ending []*life) {
	for _, l := range ending {
		<-l.ended
	}
}

// kill ends a task of an allocation, or all of them for "", and returns what has to end for it. c.mu is held.
func (c *Cluster) kill(allocation, task string) (ending []*life) {
	r := c.runs[allocation]
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
		delete(c.runs, allocation)
	}
	return ending
}

// running returns the tasks of the allocation that are to be processes, by name; nil when there is no allocation.
func (a *allocation) running() map[string]Task {
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
	r := c.runs[a.ID]
	if r != nil && r.tasks[t.Name] != nil || c.held || !c.host.enter() {
		return
	}
	if r == nil {
		r = &run{map[string]*life{}}
		c.runs[a.ID] = r
	}
	ctx, kill := context.WithCancel(c.host.ctx)
	l := &life{c: c, allocation: a.ID, task: t, kill: kill, ended: make(chan struct{})}
	r.tasks[t.Name] = l
	go func() {
		defer c.host.leave()
		defer close(l.ended)
		defer kill()
		l.live(ctx, a)
	}()
}

// live runs the task again and again, for as long as its restart policy wants it. Who kills it says why in its record.
func (l *life) live(ctx context.Context, a *allocation) {
	t := l.task
	policy := newRestarts(a.Job.Type, a.group)
	for again := false; ; again = true {
		d, err := l.c.host.dir(a)
		if err != nil {
			return
		}
		p, err := d.start(ctx, a, t)
		if ctx.Err() != nil && p == nil {
			return
		}
		if err != nil {
			l.report(func(a *allocation) { a.cannotStart(t, err) })
			return
		}
		l.holds(p)
		if again {
			l.report(func(a *allocation) { a.started(t) })
		}
		code, signal := p.wait()
		l.holds(nil)
		if ctx.Err() != nil {
			return
		}
		v := policy.after(code, time.Now())
		l.report(func(a *allocation) { a.ended(t, code, signal, v) })
		if !v.again {
			return
		}
		select {
		case <-time.After(v.delay):
		case <-ctx.Done():
			return
		}
	}
}

func (l *life) holds(p *process) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.process = p
}

// report changes the record of the allocation, unless somebody else has taken the task over, and kills the tasks that
// no longer run by it.
func (l *life) report(change func(a *allocation)) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	old, r := c.byID[l.allocation], c.runs[l.allocation]
	if old == nil || r == nil || r.tasks[l.task.Name] != l {
		return
	}
	if c.dead(old) { // nobody is there to report it
		c.kill(l.allocation, l.task.Name)
		return
	}
	c.change(old, func(a *allocation) {
		change(a)
		a.endSiblings()
		a.settle()
	})
	now := c.byID[l.allocation]
	for name := range r.tasks {
		if now.TaskStates[name].State == "dead" {
			c.kill(l.allocation, name)
		}
	}
	c.settled(old, now)
}
