package store

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
func (st *State) moveChild(namespace, parent, from, to string, index uint64) {
	if parent == "" || from == to {
		return
	}
	i, found := find(st.Jobs, key{namespace: namespace, id: parent}, byName)
	if !found {
		return
	}
	j := *st.Jobs[i]
	sum := *j.Summary
	sum.Children.add(from, -1)
	sum.Children.add(to, 1)
	sum.ModifyIndex = index
	j.Summary = &sum
	st.Jobs[i] = &j
}

// countDeletedChild counts a deleted child as dead in the summary of its parent.
func (st *State) countDeletedChild(j *Job, index uint64) {
	st.moveChild(j.Namespace, j.ParentID, j.Status, "dead", index)
}

// SkewSummary adds to the counts of children in the summary of a job, and queued to the queued allocations of each
// group. It reports whether there is such a job.
func (st *State) SkewSummary(namespace, id string, pending, running, dead, queued int) bool {
	old := st.Job(namespace, id)
	if old == nil {
		return false
	}
	j := *old
	sum := *j.Summary
	sum.ModifyIndex = st.NextIndex(TableSummaries, TableJobs)
	sum.Children = children{sum.Children.Dead + dead, sum.Children.Pending + pending, sum.Children.Running + running}
	sum.Summary = map[string]*groupSummary{}
	for name, t := range j.Summary.Summary {
		u := *t
		u.Queued += queued
		sum.Summary[name] = &u
	}
	j.Summary = &sum
	st.Jobs = put(st.Jobs, &j, byName)
	return true
}
