package nomadsim

import (
	"cmp"
	"encoding/json"
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// registerResponse returns the response to a request that registers a job version.
func (req *writeRequest) registerResponse(evaluation string, created, jobModified uint64) object {
	return object{
		"EvalID": evaluation, "EvalCreateIndex": created, "JobModifyIndex": jobModified, "Index": req.index, "Warnings": "",
		"KnownLeader": false, "LastContact": 0, "NextToken": "",
	}
}

// registerJob stores a job or its next version, and evaluates it. An unchanged job is only evaluated.
func registerJob(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	var sent struct {
		Job                          json.RawMessage
		Submission                   object
		Namespace                    string
		EnforceIndex, PreserveCounts bool
		JobModifyIndex               json.Number
		EvalPriority                 int
	}
	if err := req.decode(&sent); err != nil {
		return nil, err
	}
	f, err := jobspec.Parse(sent.Job)
	if err != nil {
		return nil, err
	}
	if req.id != "" && *f.ID != req.id {
		return nil, jobspec.BadRequest("Job ID does not match name")
	}
	namespace := cmp.Or(req.values.Get("namespace"), sent.Namespace, *f.Namespace, "default")
	if err := req.authorize(namespace, "submit-job", "register-job"); err != nil {
		return nil, err
	}
	if !st.HasNamespace(namespace) {
		return nil, jobspec.ErrorList(fmt.Sprintf("job %q is in nonexistent namespace %q", *f.ID, namespace))
	}
	before := st.Job(namespace, *f.ID)
	if sent.EnforceIndex {
		enforced, _ := sent.JobModifyIndex.Int64()
		if err := before.Spec().CheckModifyIndex(uint64(enforced)); err != nil {
			return nil, err
		}
	}
	if err := before.Spec().CheckUpdate(f); err != nil {
		return nil, err
	}
	raw, _ := jobspec.JSONValue(sent.Job).(object)
	j := &store.Job{Registration: *jobspec.Define(f, raw, namespace, req.mayRunProcesses, before.Registrations())}
	j.TokenID, j.Submission = c.acl.accessor(req.token), sent.Submission
	if before != nil && sent.PreserveCounts {
		for _, g := range before.Groups {
			if j.HasGroup(g.Name) {
				j.SetCount(g.Name, g.Count)
			}
		}
	}
	return c.submit(st, req, before, j), nil
}

// submit stores j as the next version of before, unless both are the same, and returns the response.
func (c *Cluster) submit(st *store.State, req *writeRequest, before, j *store.Job) object {
	index, e, j := c.scheduler.Submit(st, before, j)
	req.index = index
	if e == nil {
		return req.registerResponse("", 0, j.ModifyIndex)
	}
	return req.registerResponse(e.ID, index, j.ModifyIndex)
}
