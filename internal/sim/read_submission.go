package sim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// jobSubmission answers the job file that a version was registered from.
func jobSubmission(q *query, j *job) (any, error) {
	version, err := strconv.ParseUint(q.values.Get("version"), 10, 64)
	if err != nil {
		q.at = 0
		return nil, failure{http.StatusBadRequest, "Unable to parse job submission version parameter"}
	}
	q.at = 0
	if j == nil {
		return nil, noSource
	}
	v := j.numbered(version)
	if v == nil || v.submission == nil {
		return nil, noSource
	}
	q.at = v.JobModifyIndex
	source := object{"Source": "", "Format": "", "VariableFlags": nil, "Variables": ""}
	maps.Copy(source, v.submission)
	if flags, _ := source["VariableFlags"].(object); len(flags) == 0 {
		source["VariableFlags"] = nil
	}
	maps.Copy(source, object{"Namespace": j.Namespace, "JobID": j.ID, "Version": v.Version, "JobModifyIndex": v.JobModifyIndex})
	return source, nil
}

var noSource = failure{http.StatusNotFound, "job source not found"}

// getEvaluation answers one evaluation.
func getEvaluation(c *Cluster, q *query) (any, error) {
	if !q.token.rights.allow(q.namespace, "read-job") {
		return nil, denied
	}
	if _, err := digits(q.id, true); err != nil {
		return nil, failure{http.StatusInternalServerError, "failed to lookup eval: eval lookup failed: index error: " + err.Error()}
	}
	i := slices.IndexFunc(c.evaluations, func(e *evaluation) bool { return e.ID == q.id })
	if i < 0 {
		q.at = c.changedAt[tableEvaluations]
		return nil, failure{http.StatusNotFound, "eval not found"}
	}
	e := c.evaluations[i]
	if !q.token.rights.allow(e.Namespace, "read-job") {
		return nil, denied
	}
	q.at = e.ModifyIndex
	return e, nil
}
