package nomadsim

import (
	"errors"
	"net/http"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// stopAllocation stops an allocation, which is then replaced.
func stopAllocation(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	old, err := st.Allocation(req.id)
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
	req.index = st.NextIndex(store.TableJobs, store.TableAllocations, store.TableEvaluations)
	migrate := true
	a := old.Copy()
	t := &a.DesiredTransition
	t.Migrate, t.NoShutdownDelay, t.Reschedule = &migrate, &noDelay, &reschedule
	st.StoreAllocations(req.index, a)
	j := st.Job(a.Namespace, a.JobID)
	if j == nil {
		j = a.Job
	}
	e := c.scheduler.Evaluate(st, j, "alloc-stop", req.index, j.JobModifyIndex)
	return object{"EvalID": e.ID, "Index": req.index}, nil
}

// clientHandler returns the handler of a write request that the client of an allocation executes.
func clientHandler(apply func(c *Cluster, st *store.State, req *writeRequest, a *store.Allocation) error) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		c.askClient(r, id, "alloc-lifecycle") // only for the delay; the check below returns the error
		write(func(c *Cluster, st *store.State, req *writeRequest) (any, error) {
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

// restartAllocation restarts one task, the running tasks or all tasks of an allocation, in place.
func restartAllocation(c *Cluster, st *store.State, req *writeRequest, a *store.Allocation) error {
	var sent struct {
		TaskName string
		AllTasks bool
	}
	if len(req.body) > 0 {
		if err := req.decode(&sent); err != nil {
			return errors.New(err.Error())
		}
	}
	return c.agents.Restart(st, a, sent.TaskName, sent.AllTasks)
}

// signalAllocation sends a signal to one task or to all tasks.
func signalAllocation(c *Cluster, st *store.State, req *writeRequest, a *store.Allocation) error {
	var sent struct{ Task, Signal string }
	if err := req.decode(&sent); err != nil {
		return jobspec.BadRequest("Failed to decode body: " + err.Error())
	}
	return c.agents.Signal(st, a, sent.Task, sent.Signal)
}
