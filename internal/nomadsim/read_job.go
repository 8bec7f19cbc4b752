package nomadsim

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// jobSubmission returns the job file of a version.
func jobSubmission(q *query, j *store.Job) (any, error) {
	version, err := strconv.ParseUint(q.values.Get("version"), 10, 64)
	if err != nil {
		q.resultIndex = 0
		return nil, jobspec.BadRequest("Unable to parse job submission version parameter")
	}
	q.resultIndex = 0
	if j == nil {
		return nil, errSourceNotFound
	}
	v := j.FindVersion(version)
	if v == nil || v.Submission == nil {
		return nil, errSourceNotFound
	}
	q.resultIndex = v.JobModifyIndex
	source := object{"Source": "", "Format": "", "VariableFlags": nil, "Variables": ""}
	maps.Copy(source, v.Submission)
	if flags, _ := source["VariableFlags"].(object); len(flags) == 0 {
		source["VariableFlags"] = nil
	}
	maps.Copy(source, object{
		"Namespace": j.Namespace, "JobID": j.ID, "Version": v.Version, "JobModifyIndex": v.JobModifyIndex,
	})
	return source, nil
}

var errSourceNotFound = jobspec.NotFound("job source not found")

// getEvaluation returns one evaluation.
func getEvaluation(c *Cluster, st *store.State, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, jobspec.ErrDenied
	}
	if _, err := store.UUIDDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("failed to lookup eval: eval lookup failed: index error: %w", err)
	}
	e := st.EvaluationByID(q.id)
	if e == nil {
		q.resultIndex = st.LastChange(store.TableEvaluations)
		return nil, jobspec.NotFound("eval not found")
	}
	if !q.token.rights.allows(e.Namespace, "read-job") {
		return nil, jobspec.ErrDenied
	}
	q.resultIndex = e.ModifyIndex
	return e, nil
}

// jobVersions returns the versions of a job and, on request, the difference of each version to the previous one.
func jobVersions(q *query, j *store.Job) (any, error) {
	diffs, err := q.flag("diffs", false)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, jobspec.NotFound("job versions not found")
	}
	q.resultIndex = cmp.Or(j.ModifyIndex, q.resultIndex)
	versions, differences := []object{}, []jobspec.Diff(nil)
	all := j.Versions()
	for i, v := range all {
		versions = append(versions, v.Detail())
		if diffs && i+1 < len(all) {
			differences = append(differences, v.Diff(&all[i+1].Registration))
		}
	}
	return object{
		"Versions": versions, "Diffs": differences, "Index": q.resultIndex, "KnownLeader": true, "LastContact": 0,
		"NextToken": "",
	}, nil
}
