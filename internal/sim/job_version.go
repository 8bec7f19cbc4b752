package sim

import (
	"cmp"
	"net/http"
	"strconv"
)

// completeEarlier makes j what its job was that many versions ago.
func (j *Job) completeEarlier(now *Job, versions uint64) {
	j.Namespace, j.ID, j.Type, j.ParentID, j.Stopped = now.Namespace, now.ID, now.Type, now.ParentID, false
	j.Version, j.Versions, j.Evaluations = now.Version-versions, nil, nil
	if j.Submitted.IsZero() {
		j.Submitted = now.Submitted
	}
	j.complete()
	for i := range j.Groups {
		g := &j.Groups[i]
		g.Count, g.Allocations, g.Unplaced = max(g.Count, 1), nil, nil
	}
}

// versionsBack returns the job as it was that many versions ago.
func (j *job) versionsBack(ago int) *job {
	if ago == 0 {
		return j
	}
	if ago > len(j.earlierVersions) {
		panic("sim: an allocation of " + j.ID + " is " + strconv.Itoa(ago) + " versions behind: there are not so many")
	}
	return j.earlierVersions[ago-1]
}

// versions returns the job as it is and as it was, latest first.
func (j *job) versions() []*job { return append([]*job{j}, j.earlierVersions...) }

// deployments are those of all versions, latest first.
func (j *job) deployments() (all []*deployment) {
	for _, v := range j.versions() {
		if v.deployment != nil {
			all = append(all, v.deployment)
		}
	}
	return all
}

// groupNamed returns the group with that name in this version or, if it has none, the one that took its place.
func (j *job) groupNamed(now Group) Group {
	for _, g := range j.groups {
		if g.Name == now.Name {
			return g
		}
	}
	return now
}

// jobVersions answers what a job is and was and, on request, how each version differs from the one before it.
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
		"Versions": versions, "Diffs": differences, "Index": q.resultIndex, "KnownLeader": true, "LastContact": 0, "NextToken": "",
	}, nil
}
