package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// deregisterJob stops a job, or purges it. To stop one is a new version of it, also when it was stopped before.
func deregisterJob(c *Cluster, o *order) (any, error) {
	purge := false
	if s := o.values.Get("purge"); s != "" {
		var err error
		if purge, err = strconv.ParseBool(s); err != nil {
			return nil, fmt.Errorf("Failed to parse value of %q (%v) as a bool: %v", "purge", s, err)
		}
	}
	capabilities := []string{"submit-job", "purge-job"}
	if !purge {
		capabilities = append(capabilities, "deregister-job")
	}
	if err := o.may(o.namespace, capabilities...); err != nil {
		return nil, err
	}
	evaluation := ""
	if before := c.job(o.namespace, o.id); before != nil {
		o.index = c.step(tableJobs, tableSummaries, tableEvaluations)
		j := before.next(o.index)
		j.Stop = true
		j.disableScaling()
		j.storePolicies(before, o.index)
		if purge {
			c.jobs = drop(c.jobs, before, byName)
			c.removed(before, o.index)
		} else {
			c.restate(j, o.index)
		}
		if !j.isParent() {
			e := j.pending("job-deregister", o.index, o.index)
			e.Type = "service"
			evaluation = e.ID
			c.queue(e)
		}
	}
	return object{
		"EvalID": evaluation, "EvalCreateIndex": o.index, "JobModifyIndex": o.index, "Index": o.index,
		"VolumeEvalID": "", "VolumeEvalIndex": 0, "KnownLeader": false, "LastContact": 0, "NextToken": "",
	}, nil
}

// revertJob registers an earlier version of a job again.
func revertJob(c *Cluster, o *order) (any, error) {
	var sent struct {
		JobID               string
		JobVersion          uint64
		EnforcePriorVersion *uint64
	}
	if err := o.read(&sent); err != nil {
		return nil, err
	}
	switch {
	case sent.JobID == "":
		return nil, failure{http.StatusBadRequest, "JobID must be specified"}
	case sent.JobID != o.id:
		return nil, failure{http.StatusBadRequest, "Job ID does not match"}
	}
	if err := o.may(o.namespace, "submit-job", "revert-job"); err != nil {
		return nil, err
	}
	now := c.job(o.namespace, o.id)
	switch {
	case now == nil:
		return nil, fmt.Errorf("job %q not found", o.id)
	case now.Version == sent.JobVersion:
		return nil, fmt.Errorf("can't revert to current version")
	}
	old := now.numbered(sent.JobVersion)
	if old == nil {
		return nil, fmt.Errorf("job %q in namespace %q at version %d not found", o.id, o.namespace, sent.JobVersion)
	}
	if p := sent.EnforcePriorVersion; p != nil && *p != now.Version {
		return nil, fmt.Errorf("Current job has version %d; enforcing version %d", now.Version, *p)
	}
	j := *old
	j.tokenID, j.tag = c.accessor(o.token), nil
	answer := c.submit(o, now, &j)
	o.known = "false"
	return answer, nil
}

// numbered returns a version of the job, nil when Nomad no longer knows it.
func (j *job) numbered(version uint64) *job {
	for _, v := range j.versions() {
		if v.Version == version {
			return v
		}
	}
	return nil
}

// orphans are the allocations and evaluations that outlive a job that was purged.
func (c *Cluster) orphans(namespace, id string) (allocations []*allocation, evaluations []*evaluation) {
	for _, a := range c.allocations {
		if a.Namespace == namespace && a.JobID == id {
			allocations = append(allocations, a)
		}
	}
	for _, e := range c.evaluations {
		if e.Namespace == namespace && e.JobID == id {
			evaluations = append(evaluations, e)
		}
	}
	j := job{allocations: allocations, evaluations: evaluations}
	j.sort()
	return j.allocations, j.evaluations
}

// evaluate writes down that a job is to be evaluated, and has it done. jobModified 0 is not written down. c.mu is held.
func (c *Cluster) evaluate(j *job, trigger string, index, jobModified uint64) *evaluation {
	e := j.pending(trigger, index, jobModified)
	c.queue(e)
	return e
}

// pending makes an evaluation that is still to be processed.
func (j *job) pending(trigger string, index, jobModified uint64) *evaluation {
	now := time.Now().UnixNano()
	return &evaluation{
		ID:        uuid("evaluation", j.Namespace, j.ID, trigger, strconv.FormatUint(index, 10)),
		Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: "pending",
		JobModifyIndex: jobModified, CreateIndex: index, ModifyIndex: index, CreateTime: now, ModifyTime: now,
	}
}

// queue stores an evaluation and processes it a step later.
func (c *Cluster) queue(e *evaluation) {
	c.record(e)
	c.later(func() { c.process(e) })
}

// record stores an evaluation, or a changed copy, and what follows from it for the status of its job.
func (c *Cluster) record(e *evaluation) {
	c.evaluations = put(c.evaluations, e, byCreation)
	before := c.job(e.Namespace, e.JobID)
	if before == nil {
		return
	}
	j := *before
	j.evaluations = append(slices.DeleteFunc(slices.Clone(j.evaluations), func(old *evaluation) bool { return old.ID == e.ID }), e)
	j.sortEvaluations()
	c.restate(&j, e.ModifyIndex)
}
