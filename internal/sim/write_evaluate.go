package sim

import (
	"errors"
	"net/http"
)

// evaluateJob creates an evaluation of a job. With ForceReschedule, failed allocations are rescheduled immediately,
// even without remaining attempts, if the policy of their group permits rescheduling at all.
func evaluateJob(c *Cluster, o *writeRequest) (any, error) {
	var sent struct {
		JobID       string
		EvalOptions struct{ ForceReschedule bool }
	}
	if len(o.body) > 0 {
		if err := o.decode(&sent); err != nil {
			return nil, err
		}
		switch {
		case sent.JobID == "":
			return nil, httpError{http.StatusBadRequest, "Job ID must be specified"}
		case sent.JobID != o.id:
			return nil, httpError{http.StatusBadRequest, "JobID not same as job name"}
		}
	}
	if err := o.authorize(o.namespace, "submit-job", "evaluate-job"); err != nil {
		return nil, err
	}
	j := c.job(o.namespace, o.id)
	switch {
	case j == nil:
		return nil, errors.New("job not found")
	case j.Periodic != nil:
		return nil, errors.New("can't evaluate periodic job")
	case j.isParent():
		return nil, errors.New("can't evaluate parameterized job")
	}
	o.index = c.nextIndex(tableEvaluations, tableAllocations)
	var forced []*allocation
	for _, a := range j.allocations {
		if !sent.EvalOptions.ForceReschedule || a.ClientStatus != "failed" || a.NextAllocation != "" || a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		if j.hasGroup(a.TaskGroup) && j.groupNamed(a.group).canReschedule(j.Type) {
			b := a.copy()
			b.DesiredTransition.ForceReschedule = new(true)
			forced = append(forced, b)
		}
	}
	c.storeAllocations(o.index, forced...)
	j = c.job(o.namespace, o.id)
	e := c.evaluate(j, "job-register", o.index, j.ModifyIndex)
	return o.registerResponse(e.ID, o.index, j.ModifyIndex), nil
}

// forceRescheduled reports whether a failed allocation must be rescheduled immediately. An allocation of an active
// deployment is not, unless the deployment requests it.
func (a *allocation) forceRescheduled(d *deployment) bool {
	t := a.DesiredTransition
	if t.ForceReschedule == nil || !*t.ForceReschedule || a.ClientStatus != "failed" || a.DesiredStatus != "run" {
		return false
	}
	return d == nil || a.DeploymentID != d.ID || !d.active() || t.Reschedule != nil && *t.Reschedule
}
