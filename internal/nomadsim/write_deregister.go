package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// deregisterJob stops or purges a job. Each stop creates a version, even if the job is already stopped.
func deregisterJob(c *Cluster, req *writeRequest) (any, error) {
	purge := false
	if s := req.values.Get("purge"); s != "" {
		var err error
		if purge, err = strconv.ParseBool(s); err != nil {
			return nil, fmt.Errorf("Failed to parse value of %q (%v) as a bool: %v", "purge", s, err)
		}
	}
	capabilities := []string{"submit-job", "purge-job"}
	if !purge {
		capabilities = append(capabilities, "deregister-job")
	}
	if err := req.authorize(req.namespace, capabilities...); err != nil {
		return nil, err
	}
	evaluationID := ""
	if before := c.job(req.namespace, req.id); before != nil {
		req.index = c.nextIndex(tableJobs, tableSummaries, tableEvaluations)
		j := before.nextVersion(req.index)
		j.Stop = true
		j.disableScaling()
		j.storeScalingPolicies(before, req.index)
		if purge {
			c.jobs = drop(c.jobs, before, byName)
			c.countDeletedChild(before, req.index)
		} else {
			c.storeJob(j, req.index)
		}
		if !j.isParent() {
			e := j.newPendingEvaluation("job-deregister", req.index, req.index)
			e.Type = "service"
			evaluationID = e.ID
			c.enqueue(e)
		}
	}
	return object{
		"EvalID": evaluationID, "EvalCreateIndex": req.index, "JobModifyIndex": req.index, "Index": req.index,
		"VolumeEvalID": "", "VolumeEvalIndex": 0, "KnownLeader": false, "LastContact": 0, "NextToken": "",
	}, nil
}

// revertJob registers an earlier version of a job again.
func revertJob(c *Cluster, req *writeRequest) (any, error) {
	var sent struct {
		JobID               string
		JobVersion          uint64
		EnforcePriorVersion *uint64
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	switch {
	case sent.JobID == "":
		return nil, httpError{http.StatusBadRequest, "JobID must be specified"}
	case sent.JobID != req.id:
		return nil, httpError{http.StatusBadRequest, "Job ID does not match"}
	}
	if err := req.authorize(req.namespace, "submit-job", "revert-job"); err != nil {
		return nil, err
	}
	current := c.job(req.namespace, req.id)
	switch {
	case current == nil:
		return nil, fmt.Errorf("job %q not found", req.id)
	case current.Version == sent.JobVersion:
		return nil, fmt.Errorf("can't revert to current version")
	}
	old := current.findVersion(sent.JobVersion)
	if old == nil {
		return nil, fmt.Errorf("job %q in namespace %q at version %d not found", req.id, req.namespace, sent.JobVersion)
	}
	if p := sent.EnforcePriorVersion; p != nil && *p != current.Version {
		return nil, fmt.Errorf("Current job has version %d; enforcing version %d", current.Version, *p)
	}
	j := *old
	j.tokenID, j.tag = c.accessor(req.token), nil
	response := c.submit(req, current, &j)
	req.knownLeader = "false"
	return response, nil
}

// findVersion returns a version of the job by its number, or nil.
func (j *job) findVersion(version uint64) *job {
	for _, v := range j.versions() {
		if v.Version == version {
			return v
		}
	}
	return nil
}

// orphans returns the allocations and evaluations that a purged job left.
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

// evaluate creates and enqueues an evaluation of a job. jobModified 0 is omitted. c.mu is held.
func (c *Cluster) evaluate(j *job, trigger string, index, jobModified uint64) *evaluation {
	e := j.newPendingEvaluation(trigger, index, jobModified)
	c.enqueue(e)
	return e
}

// newPendingEvaluation returns a pending evaluation of the job.
func (j *job) newPendingEvaluation(trigger string, index, jobModified uint64) *evaluation {
	now := time.Now().UnixNano()
	return &evaluation{
		ID:        uuid("evaluation", j.Namespace, j.ID, trigger, strconv.FormatUint(index, 10)),
		Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: "pending",
		JobModifyIndex: jobModified, CreateIndex: index, ModifyIndex: index, CreateTime: now, ModifyTime: now,
	}
}

// enqueue stores an evaluation and processes it one step later.
func (c *Cluster) enqueue(e *evaluation) {
	c.storeEvaluation(e)
	c.afterStep(func() { c.processEvaluation(e) })
}

// storeEvaluation stores a new or changed evaluation and updates the status of its job.
func (c *Cluster) storeEvaluation(e *evaluation) {
	c.evaluations = put(c.evaluations, e, byCreation)
	before := c.job(e.Namespace, e.JobID)
	if before == nil {
		return
	}
	j := *before
	j.evaluations = append(slices.DeleteFunc(slices.Clone(j.evaluations),
		func(old *evaluation) bool { return old.ID == e.ID }), e)
	j.sortEvaluations()
	c.storeJob(&j, e.ModifyIndex)
}
