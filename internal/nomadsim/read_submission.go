package nomadsim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// jobSubmission returns the job file of a version.
func jobSubmission(q *query, j *job) (any, error) {
	version, err := strconv.ParseUint(q.values.Get("version"), 10, 64)
	if err != nil {
		q.resultIndex = 0
		return nil, httpError{http.StatusBadRequest, "Unable to parse job submission version parameter"}
	}
	q.resultIndex = 0
	if j == nil {
		return nil, errSourceNotFound
	}
	v := j.findVersion(version)
	if v == nil || v.submission == nil {
		return nil, errSourceNotFound
	}
	q.resultIndex = v.JobModifyIndex
	source := object{"Source": "", "Format": "", "VariableFlags": nil, "Variables": ""}
	maps.Copy(source, v.submission)
	if flags, _ := source["VariableFlags"].(object); len(flags) == 0 {
		source["VariableFlags"] = nil
	}
	maps.Copy(source, object{
		"Namespace": j.Namespace, "JobID": j.ID, "Version": v.Version, "JobModifyIndex": v.JobModifyIndex,
	})
	return source, nil
}

var errSourceNotFound = httpError{http.StatusNotFound, "job source not found"}

// getEvaluation returns one evaluation.
func getEvaluation(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allows(q.namespace, "read-job") {
		return nil, errDenied
	}
	if _, err := uuidDigits(q.id, true); err != nil {
		return nil, httpError{
			http.StatusInternalServerError, "failed to lookup eval: eval lookup failed: index error: " + err.Error(),
		}
	}
	i := slices.IndexFunc(c.evaluations, func(e *evaluation) bool { return e.ID == q.id })
	if i < 0 {
		q.resultIndex = c.changedAt[tableEvaluations]
		return nil, httpError{http.StatusNotFound, "eval not found"}
	}
	e := c.evaluations[i]
	if !q.token.rights.allows(e.Namespace, "read-job") {
		return nil, errDenied
	}
	q.resultIndex = e.ModifyIndex
	return e, nil
}
