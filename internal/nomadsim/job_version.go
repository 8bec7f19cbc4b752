package nomadsim

import (
	"cmp"
	"net/http"
	"strconv"
)

// fillEarlier fills in j as an earlier version of a job.
func (j *Job) fillEarlier(current *Job, versionsBehind uint64) {
	j.Namespace, j.ID, j.Type, j.ParentID, j.Stopped = current.Namespace, current.ID, current.Type, current.ParentID, false
	j.Version, j.Versions, j.Evaluations = current.Version-versionsBehind, nil, nil
	if j.Submitted.IsZero() {
		j.Submitted = current.Submitted
	}
	j.fillDefaults()
	for i := range j.Groups {
		g := &j.Groups[i]
		g.Count, g.Allocations, g.Unplaced = max(g.Count, 1), nil, nil
	}
}

// versionsBack returns an earlier version of the job by its distance to the current one.
func (j *job) versionsBack(versionsBehind int) *job {
	if versionsBehind == 0 {
		return j
	}
	if versionsBehind > len(j.earlierVersions) {
		panic("nomadsim: an allocation of " + j.ID + " is " + strconv.Itoa(versionsBehind) +
			" versions behind, which is more than the job has")
	}
	return j.earlierVersions[versionsBehind-1]
}

// versions returns all versions of the job, latest first.
func (j *job) versions() []*job { return append([]*job{j}, j.earlierVersions...) }

// deployments returns the deployments of all versions, latest first.
func (j *job) deployments() (all []*deployment) {
	for _, v := range j.versions() {
		if v.deployment != nil {
			all = append(all, v.deployment)
		}
	}
	return all
}

// groupNamed returns this version's group with the same name, or the argument if there is none.
func (j *job) groupNamed(g Group) Group {
	for _, own := range j.groups {
		if own.Name == g.Name {
			return own
		}
	}
	return g
}

// jobVersions returns the versions of a job and, on request, the difference of each version to the previous one.
func jobVersions(q *query, j *job) (any, error) {
	diffs, err := q.flag("diffs", false)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, httpError{http.StatusNotFound, "job versions not found"}
	}
	q.resultIndex = cmp.Or(j.ModifyIndex, q.resultIndex)
	versions, differences := []object{}, []jobDiff(nil)
	all := j.versions()
	for i, v := range all {
		versions = append(versions, v.detail())
		if diffs && i+1 < len(all) {
			differences = append(differences, v.diff(all[i+1]))
		}
	}
	return object{
		"Versions": versions, "Diffs": differences, "Index": q.resultIndex, "KnownLeader": true, "LastContact": 0,
		"NextToken": "",
	}, nil
}
