package nomadsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// stopAllocation stops an allocation, which is then replaced.
func stopAllocation(c *Cluster, st *state, req *writeRequest) (any, error) {
	old, err := st.allocation(req.id)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, jobspec.NotFound("allocation not found")
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
	req.index = st.nextIndex(tableJobs, tableAllocations, tableEvaluations)
	migrate := true
	a := old.copy()
	t := &a.DesiredTransition
	t.Migrate, t.NoShutdownDelay, t.Reschedule = &migrate, &noDelay, &reschedule
	st.storeAllocations(req.index, a)
	j := st.job(a.Namespace, a.JobID)
	if j == nil {
		j = a.Job
	}
	e := c.scheduler.evaluate(st, j, "alloc-stop", req.index, j.JobModifyIndex)
	return object{"EvalID": e.ID, "Index": req.index}, nil
}

// clientHandler returns the handler of a write request that the client of an allocation executes.
func clientHandler(apply func(c *Cluster, st *state, req *writeRequest, a *allocation) error) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		c.askClient(r, id, "alloc-lifecycle") // an error is returned below
		write(func(c *Cluster, st *state, req *writeRequest) (any, error) {
			a, _, err := c.reachableAllocationIn(st, r, id, "alloc-lifecycle")
			if err != nil {
				return nil, err
			}
			if err := apply(c, st, req, a); err != nil {
				return nil, err
			}
			req.noIndex = true
			return object{"Index": 0}, nil
		})(c, w, r, id)
	}
}

var errNotRunning = errors.New("Task not running")

// restartAllocation restarts one task, the running tasks or all tasks of an allocation, in place.
func restartAllocation(c *Cluster, st *state, req *writeRequest, a *allocation) error {
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
	var tasks []jobspec.Task
	for _, t := range a.group.Tasks {
		s := a.TaskStates[t.Name]
		if len(names) > 0 && !slices.Contains(names, t.Name) || s == nil {
			continue
		}
		if s.State == "running" || (sent.AllTasks && s.State == "dead") {
			tasks = append(tasks, t)
		}
	}
	c.agents.restartTasks(st, a, tasks, reason)
	return nil
}

// signalAllocation sends a signal to one task or to all tasks.
func signalAllocation(c *Cluster, st *state, req *writeRequest, a *allocation) error {
	var sent struct{ Task, Signal string }
	if err := req.decode(&sent); err != nil {
		return jobspec.BadRequest("Failed to decode body: " + err.Error())
	}
	tasks := a.group.Tasks
	if sent.Task != "" {
		t, found := a.task(sent.Task)
		if !found {
			return errors.New("Task not found")
		}
		tasks = []jobspec.Task{t}
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
		return jobspec.ErrorList(failed...)
	}
	st.updateAllocation(a, func(a *allocation) {
		for _, t := range tasks {
			// Nomad 2.0.5 records neither the signal nor the reason.
			a.updateTask(t.Name, func(*taskState) {}, jobspec.NewEvent(time.Now(), "Signaling", "Task being sent a signal", nil))
		}
	})
	for _, t := range tasks {
		if r := c.agents.runners[a.ID]; r != nil && r.tasks[t.Name] != nil && r.tasks[t.Name].process != nil {
			r.tasks[t.Name].process.signal(sent.Signal)
		}
	}
	return nil
}
