package nomadsim

import (
	"maps"
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

// findVersion returns a version of the job by its number, or nil.
func (j *job) findVersion(version uint64) *job {
	for _, v := range j.versions() {
		if v.Version == version {
			return v
		}
	}
	return nil
}

// maxUntaggedVersions is the number of untagged versions that Nomad keeps for each job.
const maxUntaggedVersions = 6

// dropOldVersion drops the oldest version if there are too many. Tagged versions do not count, and the newest stable
// version is kept. j.earlierVersions must not be shared.
func (j *job) dropOldVersion() {
	counted := slices.DeleteFunc(j.versions(), func(v *job) bool { return v.Tag != nil })
	if len(counted) <= maxUntaggedVersions {
		return
	}
	drop := counted[maxUntaggedVersions]
	if slices.IndexFunc(counted, (*job).isStable) == maxUntaggedVersions {
		drop = counted[maxUntaggedVersions-1]
	}
	j.earlierVersions = slices.DeleteFunc(j.earlierVersions, func(v *job) bool { return v == drop })
}

// storeVersion stores a new job, or the next version of an existing one.
func (st *state) storeVersion(before, j *job, index uint64) *job {
	j.SubmitTime, j.knownStable, j.deployment = time.Now().UnixNano(), false, nil
	if before == nil {
		j.CreateIndex, j.Version, j.earlierVersions, j.Status = index, 0, nil, ""
		j.summary = &summary{JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*groupSummary{}, CreateIndex: index}
		j.allocations, j.evaluations = st.orphans(j.Namespace, j.ID)
	} else {
		j.CreateIndex, j.Version, j.earlierVersions = before.CreateIndex, before.Version+1, before.versions()
		j.dropOldVersion()
		j.summary, j.allocations, j.evaluations = before.summary, before.allocations, before.evaluations
		j.scalingEvents, j.collected, j.Status = before.scalingEvents, before.collected, before.Status
		if j.Submission == nil {
			j.Submission = before.Submission
		}
	}
	j.StoreScalingPolicies(before.spec(), index)
	j.ModifyIndex, j.JobModifyIndex, j.planIndex = index, index, index
	j.summary = j.countAllocations(index)
	for _, g := range j.Groups {
		if j.summary.Summary[g.Name] == nil {
			j.summary.Summary[g.Name] = &groupSummary{}
		}
	}
	st.storeJob(j, index)
	return st.job(j.Namespace, j.ID)
}

// child returns a new child of this job, to be stored.
func (j *job) child(id string) *job {
	n := *j
	n.ID, n.Name, n.ParentID, n.Periodic = id, id, j.ID, nil
	n.Groups, n.Extra, n.scalingEvents = slices.Clone(j.Groups), maps.Clone(j.Extra), nil
	n.Status, n.StatusDescription, n.Submission = "", "", nil
	return &n
}
