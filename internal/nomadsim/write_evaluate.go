package nomadsim

import (
	"errors"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// evaluateJob creates an evaluation of a job. With ForceReschedule, failed allocations are rescheduled immediately,
// even without remaining attempts, if the policy of their group permits rescheduling at all.
func evaluateJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		JobID       string
		EvalOptions struct{ ForceReschedule bool }
	}
	if len(req.body) > 0 {
		if err := req.decode(&sent); err != nil {
			return nil, err
		}
		switch {
		case sent.JobID == "":
			return nil, jobspec.BadRequest("Job ID must be specified")
		case sent.JobID != req.id:
			return nil, jobspec.BadRequest("JobID not same as job name")
		}
	}
	if err := req.authorize(req.namespace, "submit-job", "evaluate-job"); err != nil {
		return nil, err
	}
	j := st.Job(req.namespace, req.id)
	switch {
	case j == nil:
		return nil, errors.New("job not found")
	case j.Periodic != nil:
		return nil, errors.New("can't evaluate periodic job")
	case j.IsParent():
		return nil, errors.New("can't evaluate parameterized job")
	}
	req.index = st.NextIndex(store.TableEvaluations, store.TableAllocations)
	var forced []*store.Allocation
	for _, a := range j.Allocations {
		if !sent.EvalOptions.ForceReschedule || a.ClientStatus != "failed" || a.NextAllocation != "" ||
			a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		if j.HasGroup(a.TaskGroup) && j.GroupNamed(a.Group).PermitsRescheduling(j.Type) {
			b := a.Copy()
			b.DesiredTransition.ForceReschedule = new(true)
			forced = append(forced, b)
		}
	}
	st.StoreAllocations(req.index, forced...)
	j = st.Job(req.namespace, req.id)
	e := c.scheduler.Evaluate(st, j, "job-register", req.index, j.ModifyIndex)
	return req.registerResponse(e.ID, req.index, j.ModifyIndex), nil
}
