package nomadsim

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

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

// registrations returns the registrations of all versions, latest first. It returns none for nil.
func (j *job) registrations() (all []*jobspec.Registration) {
	if j == nil {
		return nil
	}
	for _, v := range j.versions() {
		all = append(all, &v.Registration)
	}
	return all
}

// deployments returns the deployments of all versions, latest first.
func (j *job) deployments() (all []*deployment) {
	for _, v := range j.versions() {
		if v.deployment != nil {
			all = append(all, v.deployment)
		}
	}
	return all
}

// jobVersions returns the versions of a job and, on request, the difference of each version to the previous one.
func jobVersions(q *query, j *job) (any, error) {
	diffs, err := q.flag("diffs", false)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, jobspec.NotFound("job versions not found")
	}
	q.resultIndex = cmp.Or(j.ModifyIndex, q.resultIndex)
	versions, differences := []object{}, []jobspec.Diff(nil)
	all := j.versions()
	for i, v := range all {
		versions = append(versions, v.detail())
		if diffs && i+1 < len(all) {
			differences = append(differences, v.Diff(&all[i+1].Registration))
		}
	}
	return object{
		"Versions": versions, "Diffs": differences, "Index": q.resultIndex, "KnownLeader": true, "LastContact": 0,
		"NextToken": "",
	}, nil
}

// nextVersion returns a copy of the job as its next version. The copy may be changed until it is stored.
func (j *job) nextVersion(index uint64) *job {
	n := *j
	n.earlierVersions = j.versions()
	n.Version++
	n.JobModifyIndex, n.ModifyIndex, n.planIndex = index, index, index
	n.SubmitTime = time.Now().UnixNano()
	n.knownStable, n.deployment = j.isStable(), nil
	n.Groups = slices.Clone(j.Groups)
	n.dropOldVersion()
	return &n
}
