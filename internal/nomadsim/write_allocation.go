package nomadsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// stopAllocation stops an allocation, which is then replaced.
func stopAllocation(c *Cluster, req *writeRequest) (any, error) {
	old, err := c.allocation(req.id)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, httpError{http.StatusNotFound, "allocation not found"}
	}
	if err := req.authorize(old.Namespace, "alloc-lifecycle"); err != nil {
		return nil, err
	}
	noDelay, err := req.flag("no_shutdown_delay")
	if err != nil {
		return nil, err
	}
	reschedule, err := req.flag("reschedule")
	if err != nil {
		return nil, err
	}
	req.index = c.nextIndex(tableJobs, tableAllocations, tableEvaluations)
	migrate := true
	a := old.copy()
	t := &a.DesiredTransition
	t.Migrate, t.NoShutdownDelay, t.Reschedule = &migrate, &noDelay, &reschedule
	c.storeAllocations(req.index, a)
	j := c.job(a.Namespace, a.JobID)
	if j == nil {
		j = a.Job
	}
	e := c.evaluate(j, "alloc-stop", req.index, j.JobModifyIndex)
	return object{"EvalID": e.ID, "Index": req.index}, nil
}

// clientHandler returns the handler of a write request that the client of an allocation executes.
func clientHandler(apply func(c *Cluster, req *writeRequest, a *allocation) error) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		if _, n, err := c.reachableAllocation(r, id, "alloc-lifecycle"); err == nil {
			if n.spec.Hangs {
				c.hang(r)
			}
			c.delay(r, n.spec.Slow)
		}
		write(func(c *Cluster, req *writeRequest) (any, error) {
			a, _, err := c.reachableAllocationLocked(r, id, "alloc-lifecycle")
			if err != nil {
				return nil, err
			}
			if err := apply(c, req, a); err != nil {
				return nil, err
			}
			req.noIndex = true
			return object{"Index": 0}, nil
		})(c, w, r, id)
	}
}

var errNotRunning = errors.New("Task not running")

// restartAllocation restarts one task, the running tasks or all tasks of an allocation, in place.
func restartAllocation(c *Cluster, req *writeRequest, a *allocation) error {
	var sent struct {
		TaskName string
		AllTasks bool
	}
	if len(req.body) > 0 {
		if err := req.decode(&sent); err != nil {
			return errors.New(err.Error())
		}
	}
	reason, names := "User requested running tasks to restart", []string{}
	switch {
	case sent.AllTasks && sent.TaskName != "":
		return errors.New("task name cannot be set when restarting all tasks")
	case sent.TaskName != "":
		if _, found := a.task(sent.TaskName); !found {
			return fmt.Errorf("Could not find task runner for task: %s", sent.TaskName)
		}
		if s := a.TaskStates[sent.TaskName]; s == nil || s.State != "running" {
			return errNotRunning
		}
		reason, names = "User requested task to restart", []string{sent.TaskName}
	case a.terminal():
		return errors.New("restart of an alloc that should not run")
	case sent.AllTasks:
		reason = "User requested all tasks to restart"
	}
	var tasks []Task
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if len(names) > 0 && !slices.Contains(names, t.Name) || s == nil {
			continue
		}
		if s.State == "running" || (sent.AllTasks && s.State == "dead") {
			tasks = append(tasks, t)
		}
	}
	c.restartTasks(a, tasks, reason)
	return nil
}

// restartTasks stops tasks and starts them again one step later.
func (c *Cluster) restartTasks(old *allocation, tasks []Task, reason string) {
	if len(tasks) == 0 {
		return
	}
	now := time.Now()
	c.applyFailNext(old)
	c.updateAllocation(old, func(a *allocation) {
		for _, t := range tasks {
			signaled := newEvent(now, "Restart Signaled", reason, map[string]string{"restart_reason": reason})
			signaled.RestartReason = reason
			events := []Event{signaled}
			if a.TaskStates[t.Name].State == "running" {
				events = append(events, sigkillEvent(now, t))
			}
			again := newEvent(now, "Restarting", "Task restarting in 0s",
				map[string]string{"restart_reason": "", "start_delay": "0"})
			a.updateTask(t.Name, func(s *taskState) {
				s.State, s.Failed, s.FinishedAt, s.LastRestart = "pending", false, nil, stamp(now)
				s.Restarts++
			}, append(events, again)...)
		}
		a.deriveStatus()
	})
	for _, t := range tasks {
		c.afterStep(func() { c.restartTask(old.ID, t) }, c.killTasks(old.ID, t.Name)...)
	}
}

// signalAllocation sends a signal to one task or to all tasks.
func signalAllocation(c *Cluster, req *writeRequest, a *allocation) error {
	var sent struct{ Task, Signal string }
	if err := req.decode(&sent); err != nil {
		return httpError{http.StatusBadRequest, "Failed to decode body: " + err.Error()}
	}
	tasks := a.group.Tasks
	if sent.Task != "" {
		t, found := a.task(sent.Task)
		if !found {
			return errors.New("Task not found")
		}
		tasks = []Task{t}
	}
	var failed []string
	for _, t := range tasks {
		if s := a.TaskStates[t.Name]; s == nil || s.State != "running" {
			failed = append(failed, "Failed to signal task: "+t.Name+", err: "+errNotRunning.Error())
		}
	}
	switch {
	case len(failed) > 0 && sent.Task != "":
		return errNotRunning
	case len(failed) > 0:
		return errorList(failed...)
	}
	c.updateAllocation(a, func(a *allocation) {
		for _, t := range tasks {
			// Nomad 2.0.5 records neither the signal nor the reason.
			a.updateTask(t.Name, func(*taskState) {}, newEvent(time.Now(), "Signaling", "Task being sent a signal", nil))
		}
	})
	for _, t := range tasks {
		if r := c.runners[a.ID]; r != nil && r.tasks[t.Name] != nil && r.tasks[t.Name].process != nil {
			r.tasks[t.Name].process.signal(sent.Signal)
		}
	}
	return nil
}
