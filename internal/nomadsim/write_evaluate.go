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
	e := c.scheduler.Reevaluate(st, j, sent.EvalOptions.ForceReschedule)
	req.index = e.CreateIndex
	return req.registerResponse(e.ID, req.index, e.JobModifyIndex), nil
}
