package nomadsim

import "slices"

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
func (c *Cluster) moveChild(namespace, parent, from, to string, index uint64) {
	if parent == "" || from == to {
		return
	}
	i, found := find(c.jobs, key{namespace: namespace, id: parent}, byName)
	if !found {
		return
	}
	j := *c.jobs[i]
	sum := *j.summary
	sum.Children.add(from, -1)
	sum.Children.add(to, 1)
	sum.ModifyIndex = index
	j.summary = &sum
	c.jobs[i] = &j
}

// countDeletedChild counts a deleted child as dead in the summary of its parent.
func (c *Cluster) countDeletedChild(j *job, index uint64) {
	c.moveChild(j.Namespace, j.ParentID, j.Status, "dead", index)
}

// SkewSummary makes the summary of a job wrong, as happens over time in a real cluster. It adds pending, running and
// dead to the counts of children, and queued to the queued allocations of each group. The numbers may be negative. It
// reports whether there is such a job.
func (c *Cluster) SkewSummary(namespace, id string, pending, running, dead, queued int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.jobs, func(j *job) bool { return j.Namespace == namespace && j.ID == id })
	if i < 0 {
		return false
	}
	j := *c.jobs[i]
	sum := *j.summary
	sum.ModifyIndex = c.nextIndex(tableSummaries, tableJobs)
	sum.Children = children{sum.Children.Dead + dead, sum.Children.Pending + pending, sum.Children.Running + running}
	sum.Summary = map[string]*groupSummary{}
	for name, t := range j.summary.Summary {
		u := *t
		u.Queued += queued
		sum.Summary[name] = &u
	}
	j.summary = &sum
	c.jobs[i] = &j
	return true
}
