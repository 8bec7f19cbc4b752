package nomadsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"time"
)

// registerResponse returns the response to a request that registers a job version.
func (req *writeRequest) registerResponse(evaluation string, created, jobModified uint64) object {
	return object{
		"EvalID": evaluation, "EvalCreateIndex": created, "JobModifyIndex": jobModified, "Index": req.index, "Warnings": "",
		"KnownLeader": false, "LastContact": 0, "NextToken": "",
	}
}

// registerJob stores a job or its next version, and evaluates it. An unchanged job is only evaluated.
func registerJob(c *Cluster, req *writeRequest) (any, error) {
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
	f, err := parseJob(sent.Job)
	if err != nil {
		return nil, err
	}
	if req.id != "" && *f.ID != req.id {
		return nil, httpError{http.StatusBadRequest, "Job ID does not match name"}
	}
	namespace := cmp.Or(req.values.Get("namespace"), sent.Namespace, f.Namespace, "default")
	if err := req.authorize(namespace, "submit-job", "register-job"); err != nil {
		return nil, err
	}
	if _, exists := find(c.namespaces, key{id: namespace}, byName); !exists {
		return nil, errorList(fmt.Sprintf("job %q is in nonexistent namespace %q", *f.ID, namespace))
	}
	before := c.job(namespace, *f.ID)
	if sent.EnforceIndex {
		enforced, _ := sent.JobModifyIndex.Int64()
		if err := before.checkModifyIndex(uint64(enforced)); err != nil {
			return nil, err
		}
	}
	if err := before.checkUpdate(f); err != nil {
		return nil, err
	}
	raw, _ := jsonValue(sent.Job).(object)
	j := f.define(raw, namespace, req.mayRunProcesses, before)
	j.tokenID, j.submission = c.accessor(req.token), sent.Submission
	if before != nil && sent.PreserveCounts {
		for _, g := range before.groups {
			if j.hasGroup(g.Name) {
				j.setCount(g.Name, g.Count)
			}
		}
	}
	return c.submit(req, before, j), nil
}

// submit stores j as the next version of before, unless both are the same, and returns the response.
func (c *Cluster) submit(req *writeRequest, before, j *job) object {
	if before != nil && before.Stop == j.Stop && before.sameRegistration(j) {
		if before.isParent() {
			req.index = before.ModifyIndex
			return req.registerResponse("", 0, before.ModifyIndex)
		}
		req.index = c.nextIndex(tableEvaluations)
		e := c.evaluate(before, "job-register", req.index, 0)
		return req.registerResponse(e.ID, req.index, before.ModifyIndex)
	}
	req.index = c.nextIndex(tableJobs, tableSummaries, tableEvaluations)
	j = c.storeVersion(before, j, req.index)
	if j.isParent() {
		return req.registerResponse("", 0, req.index)
	}
	e := c.evaluate(j, "job-register", req.index, req.index)
	return req.registerResponse(e.ID, req.index, req.index)
}

// sameRegistration reports whether Nomad considers two definitions as the same. Nomad also compares the tokens that
// registered them. Described jobs have no token.
func (j *job) sameRegistration(other *job) bool {
	described := j.policyIndexes == nil || other.policyIndexes == nil
	return reflect.DeepEqual(j.normalizedSpec(), other.normalizedSpec()) &&
		(described || maps.Equal(j.policyIndexes, other.policyIndexes)) &&
		(j.tokenID == "" || other.tokenID == "" || j.tokenID == other.tokenID)
}

// storeVersion stores a new job, or the next version of an existing one.
func (c *Cluster) storeVersion(before, j *job, index uint64) *job {
	j.SubmitTime, j.knownStable, j.deployment = time.Now().UnixNano(), false, nil
	if before == nil {
		j.CreateIndex, j.Version, j.earlierVersions, j.Status = index, 0, nil, ""
		j.summary = &summary{JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*groupSummary{}, CreateIndex: index}
		j.allocations, j.evaluations = c.orphans(j.Namespace, j.ID)
	} else {
		j.CreateIndex, j.Version, j.earlierVersions = before.CreateIndex, before.Version+1, before.versions()
		j.dropOldVersion()
		j.summary, j.allocations, j.evaluations = before.summary, before.allocations, before.evaluations
		j.scalingEvents, j.collected, j.Status = before.scalingEvents, before.collected, before.Status
		if j.submission == nil {
			j.submission = before.submission
		}
	}
	j.storeScalingPolicies(before, index)
	j.ModifyIndex, j.JobModifyIndex, j.planIndex = index, index, index
	j.summary = j.countAllocations(index)
	for _, g := range j.groups {
		if j.summary.Summary[g.Name] == nil {
			j.summary.Summary[g.Name] = &groupSummary{}
		}
	}
	c.storeJob(j, index)
	return c.job(j.Namespace, j.ID)
}

func (j *job) hasGroup(name string) bool {
	for _, g := range j.groups {
		if g.Name == name {
			return true
		}
	}
	return false
}

// accessor returns the token ID that Nomad stores in a job, or "" if ACL is off.
func (c *Cluster) accessor(t *token) string {
	if len(c.tokens) == 0 {
		return ""
	}
	return uuid("accessor", t.secret)
}

// checkModifyIndex returns an error if the job has another modify index than the request enforces. j is nil if the job
// does not exist.
func (j *job) checkModifyIndex(index uint64) error {
	switch {
	case j == nil && index != 0:
		return fmt.Errorf("Enforcing job modify index %d: job does not exist", index)
	case j != nil && index == 0:
		return fmt.Errorf("Enforcing job modify index 0: job already exists")
	case j != nil && index != j.JobModifyIndex:
		return fmt.Errorf("Enforcing job modify index %d: job exists with conflicting job modify index: %d", index,
			j.JobModifyIndex)
	}
	return nil
}

// checkUpdate returns an error if f cannot be a new version of the job.
func (j *job) checkUpdate(f *apiJob) error {
	parameterized := f.ParameterizedJob != nil && !f.Dispatched
	switch {
	case j == nil && f.Dispatched:
		return fmt.Errorf("job can't be submitted with 'Dispatched' set")
	case j == nil:
	case j.Type != f.Type:
		return fmt.Errorf("cannot update job from type %q to %q", j.Type, f.Type)
	case j.Periodic != nil && f.Periodic == nil:
		return fmt.Errorf("cannot update periodic job to being non-periodic")
	case j.Periodic == nil && f.Periodic != nil:
		return fmt.Errorf("cannot update non-periodic job to being periodic")
	case j.ParameterizedJob != nil && !j.Dispatched && !parameterized:
		return fmt.Errorf("cannot update parameterized job to being non-parameterized")
	case (j.ParameterizedJob == nil || j.Dispatched) && parameterized:
		return fmt.Errorf("cannot update non-parameterized job to being parameterized")
	case j.Dispatched != f.Dispatched:
		return fmt.Errorf("field 'Dispatched' is read-only")
	}
	return nil
}
