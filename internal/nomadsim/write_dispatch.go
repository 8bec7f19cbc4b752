package nomadsim

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/scheduler"
	"nomadctld/internal/nomadsim/store"
)

// dispatchJob registers a child of a parameterized job.
func dispatchJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		JobID, IdPrefixTemplate string
		Payload                 []byte
		Meta                    map[string]string
		Priority                int
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	if sent.JobID != "" && sent.JobID != req.id {
		return nil, jobspec.BadRequest("Job ID does not match")
	}
	if err := req.authorize(req.namespace, "dispatch-job"); err != nil {
		return nil, err
	}
	parent := st.Job(req.namespace, req.id)
	switch {
	case parent == nil:
		return nil, fmt.Errorf("parameterized job not found")
	case parent.ParameterizedJob == nil || parent.Dispatched:
		return nil, fmt.Errorf("Specified job %q is not a parameterized job", req.id)
	case parent.Stop:
		return nil, fmt.Errorf("Specified job %q is stopped", req.id)
	}
	if err := parent.ParameterizedJob.Check(sent.Payload, sent.Meta); err != nil {
		return nil, err
	}
	if sent.Priority == 0 {
		sent.Priority = parent.Priority
	}
	if sent.Priority < jobspec.MinPriority || sent.Priority > jobspec.MaxPriority {
		return nil, fmt.Errorf("dispatch job priority must be between [%d, %d]", jobspec.MinPriority, jobspec.MaxPriority)
	}
	token := req.values.Get("idempotency_token")
	if token != "" {
		for _, j := range st.Jobs {
			if j.Namespace == req.namespace && j.ParentID == req.id && j.Idempotency == token {
				req.index = j.ModifyIndex
				return object{
					"DispatchedJobID": j.ID, "EvalID": "", "EvalCreateIndex": 0, "JobCreateIndex": j.CreateIndex, "Index": req.index,
				}, nil
			}
		}
	}
	child, e := c.scheduler.Dispatch(st, parent, scheduler.Dispatch{
		Prefix: sent.IdPrefixTemplate, Payload: sent.Payload, Meta: sent.Meta, Priority: sent.Priority, Token: token,
	})
	req.index = e.CreateIndex
	return object{
		"DispatchedJobID": child.ID, "EvalID": e.ID, "EvalCreateIndex": req.index, "JobCreateIndex": req.index,
		"Index": req.index,
	}, nil
}

// forceJob runs a periodic job now, regardless of its schedule and its children.
func forceJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	if err := req.authorize(req.namespace, "dispatch-job", "submit-job", "force-periodic-job"); err != nil {
		return nil, err
	}
	j := st.Job(req.namespace, req.id)
	switch {
	case j == nil:
		return nil, fmt.Errorf("job not found")
	case j.Periodic == nil:
		return nil, fmt.Errorf("can't force launch non-periodic job")
	case j.Stop || !j.Periodic.Enabled || (j.ParameterizedJob != nil && !j.Dispatched):
		return nil, fmt.Errorf("force launch for job %q failed: can't force run non-tracked job %q (%s)", j.ID, j.ID,
			j.Namespace)
	}
	e := c.scheduler.ForcePeriodic(st, j)
	req.index = e.CreateIndex
	return object{"EvalID": e.ID, "EvalCreateIndex": req.index, "Index": req.index}, nil
}
