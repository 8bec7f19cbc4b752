package nomadsim

import (
	"fmt"
	"strconv"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// deregisterJob stops or purges a job. Each stop creates a version, even if the job is already stopped.
func deregisterJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
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
	if before := st.Job(req.namespace, req.id); before != nil {
		req.index = st.NextIndex(store.TableJobs, store.TableSummaries, store.TableEvaluations)
		j := before.NextVersion(req.index)
		j.Stop = true
		j.DisableScaling()
		j.StoreScalingPolicies(before.Spec(), req.index)
		if purge {
			st.DeleteJob(before, req.index)
		} else {
			st.StoreJob(j, req.index)
		}
		if !j.IsParent() {
			e := j.NewPendingEvaluation("job-deregister", req.index, req.index)
			e.Type = "service"
			evaluationID = e.ID
			c.scheduler.Enqueue(st, e)
		}
	}
	return object{
		"EvalID": evaluationID, "EvalCreateIndex": req.index, "JobModifyIndex": req.index, "Index": req.index,
		"VolumeEvalID": "", "VolumeEvalIndex": 0, "KnownLeader": false, "LastContact": 0, "NextToken": "",
	}, nil
}

// revertJob registers an earlier version of a job again.
func revertJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
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
		return nil, jobspec.BadRequest("JobID must be specified")
	case sent.JobID != req.id:
		return nil, jobspec.BadRequest("Job ID does not match")
	}
	if err := req.authorize(req.namespace, "submit-job", "revert-job"); err != nil {
		return nil, err
	}
	current := st.Job(req.namespace, req.id)
	switch {
	case current == nil:
		return nil, fmt.Errorf("job %q not found", req.id)
	case current.Version == sent.JobVersion:
		return nil, fmt.Errorf("can't revert to current version")
	}
	old := current.FindVersion(sent.JobVersion)
	if old == nil {
		return nil, fmt.Errorf("job %q in namespace %q at version %d not found", req.id, req.namespace, sent.JobVersion)
	}
	if p := sent.EnforcePriorVersion; p != nil && *p != current.Version {
		return nil, fmt.Errorf("Current job has version %d; enforcing version %d", current.Version, *p)
	}
	j := *old
	j.TokenID, j.Tag = c.acl.accessor(req.token), nil
	response := c.submit(st, req, current, &j)
	req.knownLeader = "false"
	return response, nil
}
