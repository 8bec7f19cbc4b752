package store

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// versionsBack returns an earlier version of the job by its distance to the current one.
func (j *Job) versionsBack(versionsBehind int) *Job {
	if versionsBehind == 0 {
		return j
	}
	if versionsBehind > len(j.EarlierVersions) {
		panic("nomadsim: an allocation of " + j.ID + " is " + strconv.Itoa(versionsBehind) +
			" versions behind, which is more than the job has")
	}
	return j.EarlierVersions[versionsBehind-1]
}

// Versions returns all versions of the job, latest first.
func (j *Job) Versions() []*Job { return append([]*Job{j}, j.EarlierVersions...) }

// Registrations returns the registrations of all versions, latest first. It returns none for nil.
func (j *Job) Registrations() (all []*jobspec.Registration) {
	if j == nil {
		return nil
	}
	for _, v := range j.Versions() {
		all = append(all, &v.Registration)
	}
	return all
}

// Deployments returns the deployments of all versions, latest first.
func (j *Job) Deployments() (all []*Deployment) {
	for _, v := range j.Versions() {
		if v.Deployment != nil {
			all = append(all, v.Deployment)
		}
	}
	return all
}

// NextVersion returns a copy of the job as its next version. The copy may be changed until it is stored.
func (j *Job) NextVersion(index uint64) *Job {
	n := *j
	n.EarlierVersions = j.Versions()
	n.Version++
	n.JobModifyIndex, n.ModifyIndex, n.planIndex = index, index, index
	n.SubmitTime = time.Now().UnixNano()
	n.knownStable, n.Deployment = j.IsStable(), nil
	n.Groups = slices.Clone(j.Groups)
	n.DropOldVersion()
	return &n
}

// FindVersion returns a version of the job by its number, or nil.
func (j *Job) FindVersion(version uint64) *Job {
	for _, v := range j.Versions() {
		if v.Version == version {
			return v
		}
	}
	return nil
}

// maxUntaggedVersions is the number of untagged versions that Nomad retains for each job.
const maxUntaggedVersions = 6

// DropOldVersion drops the oldest version if there are too many. Tagged versions do not count, and the newest stable
// version is retained. j.EarlierVersions must not be shared.
func (j *Job) DropOldVersion() {
	counted := slices.DeleteFunc(j.Versions(), func(v *Job) bool { return v.Tag != nil })
	if len(counted) <= maxUntaggedVersions {
		return
	}
	drop := counted[maxUntaggedVersions]
	if slices.IndexFunc(counted, (*Job).IsStable) == maxUntaggedVersions {
		drop = counted[maxUntaggedVersions-1]
	}
	j.EarlierVersions = slices.DeleteFunc(j.EarlierVersions, func(v *Job) bool { return v == drop })
}

// StoreVersion stores a new job, or the next version of an existing one.
func (st *State) StoreVersion(before, j *Job, index uint64) *Job {
	j.SubmitTime, j.knownStable, j.Deployment = time.Now().UnixNano(), false, nil
	if before == nil {
		j.CreateIndex, j.Version, j.EarlierVersions, j.Status = index, 0, nil, ""
		j.Summary = &summary{JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*groupSummary{}, CreateIndex: index}
		j.Allocations, j.Evaluations = st.Orphans(j.Namespace, j.ID)
	} else {
		j.CreateIndex, j.Version, j.EarlierVersions = before.CreateIndex, before.Version+1, before.Versions()
		j.DropOldVersion()
		j.Summary, j.Allocations, j.Evaluations = before.Summary, before.Allocations, before.Evaluations
		j.ScalingEvents, j.collected, j.Status = before.ScalingEvents, before.collected, before.Status
		if j.Submission == nil {
			j.Submission = before.Submission
		}
	}
	j.StoreScalingPolicies(before.Spec(), index)
	j.ModifyIndex, j.JobModifyIndex, j.planIndex = index, index, index
	j.Summary = j.CountAllocations(index)
	for _, g := range j.Groups {
		if j.Summary.Summary[g.Name] == nil {
			j.Summary.Summary[g.Name] = &groupSummary{}
		}
	}
	st.StoreJob(j, index)
	return st.Job(j.Namespace, j.ID)
}

// Child returns a new child of this job, to be stored.
func (j *Job) Child(id string) *Job {
	n := *j
	n.ID, n.Name, n.ParentID, n.Periodic = id, id, j.ID, nil
	n.Groups, n.Extra, n.ScalingEvents = slices.Clone(j.Groups), maps.Clone(j.Extra), nil
	n.Status, n.StatusDescription, n.Submission = "", "", nil
	return &n
}
