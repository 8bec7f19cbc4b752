package nomadsim

import (
	"errors"
	"net/http"
)

// evaluateJob creates an evaluation of a job. With ForceReschedule, failed allocations are rescheduled immediately,
// even without remaining attempts, if the policy of their group permits rescheduling at all.
func evaluateJob(c *Cluster, req *writeRequest) (any, error) {
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
			return nil, httpError{http.StatusBadRequest, "Job ID must be specified"}
		case sent.JobID != req.id:
			return nil, httpError{http.StatusBadRequest, "JobID not same as job name"}
		}
	}
	if err := req.authorize(req.namespace, "submit-job", "evaluate-job"); err != nil {
		return nil, err
	}
	j := c.job(req.namespace, req.id)
	switch {
	case j == nil:
		return nil, errors.New("job not found")
	case j.Periodic != nil:
		return nil, errors.New("can't evaluate periodic job")
	case j.isParent():
		return nil, errors.New("can't evaluate parameterized job")
	}
	req.index = c.nextIndex(tableEvaluations, tableAllocations)
	var forced []*allocation
	for _, a := range j.allocations {
		if !sent.EvalOptions.ForceReschedule || a.ClientStatus != "failed" || a.NextAllocation != "" ||
			a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		if j.hasGroup(a.TaskGroup) && j.groupNamed(a.group).permitsRescheduling(j.Type) {
			b := a.copy()
			b.DesiredTransition.ForceReschedule = new(true)
			forced = append(forced, b)
		}
	}
	c.storeAllocations(req.index, forced...)
	j = c.job(req.namespace, req.id)
	e := c.evaluate(j, "job-register", req.index, j.ModifyIndex)
	return req.registerResponse(e.ID, req.index, j.ModifyIndex), nil
}

// mustRescheduleNow reports whether a failed allocation must be rescheduled immediately. For an allocation of an active
// deployment it is false, unless DesiredTransition.Reschedule is set.
func (a *allocation) mustRescheduleNow(d *deployment) bool {
	t := a.DesiredTransition
	if t.ForceReschedule == nil || !*t.ForceReschedule || a.ClientStatus != "failed" || a.DesiredStatus != "run" {
		return false
	}
	return d == nil || a.DeploymentID != d.ID || !d.active() || t.Reschedule != nil && *t.Reschedule
}
