package nomadsim

// children counts the children of a job. Nomad adds and subtracts when children change, and starts at zero when the
// parent is registered. Therefore the numbers drift, even below zero: children outlive a parent that is
// garbage-collected, and a deleted child remains counted as dead.
type children struct{ Dead, Pending, Running int }

// add adds n to the count of a status.
func (k *children) add(status string, n int) {
	switch status {
	case "pending":
		k.Pending += n
	case "running":
		k.Running += n
	case "dead":
		k.Dead += n
	}
}

// moveChild moves a child to another status in the summary of its parent, if there is a parent. from is "" for a new
// child.
func (st *state) moveChild(namespace, parent, from, to string, index uint64) {
	if parent == "" || from == to {
		return
	}
	i, found := find(st.jobs, key{namespace: namespace, id: parent}, byName)
	if !found {
		return
	}
	j := *st.jobs[i]
	sum := *j.summary
	sum.Children.add(from, -1)
	sum.Children.add(to, 1)
	sum.ModifyIndex = index
	j.summary = &sum
	st.jobs[i] = &j
}

// countDeletedChild counts a deleted child as dead in the summary of its parent.
func (st *state) countDeletedChild(j *job, index uint64) {
	st.moveChild(j.Namespace, j.ParentID, j.Status, "dead", index)
}

// skewSummary adds to the counts of children in the summary of a job, and queued to the queued allocations of each
// group. It reports whether there is such a job.
func (st *state) skewSummary(namespace, id string, pending, running, dead, queued int) bool {
	old := st.job(namespace, id)
	if old == nil {
		return false
	}
	j := *old
	sum := *j.summary
	sum.ModifyIndex = st.nextIndex(tableSummaries, tableJobs)
	sum.Children = children{sum.Children.Dead + dead, sum.Children.Pending + pending, sum.Children.Running + running}
	sum.Summary = map[string]*groupSummary{}
	for name, t := range j.summary.Summary {
		u := *t
		u.Queued += queued
		sum.Summary[name] = &u
	}
	j.summary = &sum
	st.jobs = put(st.jobs, &j, byName)
	return true
}
