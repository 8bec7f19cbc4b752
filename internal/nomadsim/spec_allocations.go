package nomadsim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
)

// createAllocations creates the described allocations of a group and the allocations that they replaced.
func (c *Cluster) createAllocations(j *job, g Group) {
	if g.Unplaced != nil {
		j.summary.Summary[g.Name].Queued = g.Unplaced.Queued
	}
	for i, spec := range g.Allocations {
		c.createAllocation(j, g, i, 0, spec)
	}
}

// createAllocation creates the allocation with index i of its group. later is the number of allocations that have
// replaced it, one after the other.
func (c *Cluster) createAllocation(j *job, g Group, i, later int, spec Allocation) *allocation {
	var previous *allocation
	if spec.Previous != nil {
		previous = c.createAllocation(j, g, i, later+1, spec.previousWithDefaults())
	}
	version := j.versionsBack(spec.VersionsBehind)
	g = version.groupNamed(g)
	turn := fnv.New32a()
	turn.Write([]byte(j.ID))
	n := c.nodeFor(spec.Node, i+later+int(turn.Sum32()))
	if previous != nil && previous.Job == version && spec.Created.IsZero() {
		spec.Created = previous.replacementTime()
	}
	spec.fillDefaults(j)
	names := []string{"allocation", j.Namespace, j.ID, g.Name, strconv.Itoa(i)}
	if later > 0 {
		names = append(names, "before", strconv.Itoa(later))
	}
	a := &allocation{
		ID: cmp.Or(spec.ID, uuid(names...)), Namespace: j.Namespace, EvalID: version.registerEvaluationID(),
		Name: fmt.Sprintf("%s.%s[%d]", j.ID, g.Name, i), NodeID: n.ID, NodeName: n.Name, JobID: j.ID,
		TaskGroup: g.Name, ClientStatus: spec.ClientStatus, ClientDescription: clientDescriptions[spec.ClientStatus],
		DesiredStatus: spec.DesiredStatus, DesiredDescription: spec.DesiredDescription,
		TaskStates: map[string]*taskState{}, CreateIndex: version.planIndex,
		CreateTime: spec.Created.UnixNano(), ModifyTime: spec.Modified.UnixNano(), Job: version, group: g, node: n,
		failingChecks: spec.FailingChecks,
	}
	a.setHealth(version, spec)
	if previous != nil {
		c.linkReplacement(previous, a)
	}
	if same := c.allocationByID[a.ID]; same != nil {
		if same.JobID != j.ID || same.Namespace != j.Namespace {
			panic("nomadsim: the allocations of two jobs have the ID " + a.ID)
		}
		a.CreateIndex = same.CreateIndex
	}
	for _, t := range g.Tasks {
		state, given := spec.Tasks[t.Name]
		if !given && spec.ClientStatus == "running" {
			state.CPU, state.RSS, state.MaxRSS = float64(t.CPU)/10, uint64(t.Memory)<<18, uint64(t.Memory)<<19
		}
		a.TaskStates[t.Name] = state.toRecord(spec)
	}
	j.allocations = append(j.allocations, a)
	j.summary.Summary[g.Name].add(a.ClientStatus)
	return a
}

// nodeFor returns the node with this name or, without a name, the next node by turn.
func (c *Cluster) nodeFor(name string, turn int) *node {
	if name == "" {
		ready := slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return n.Status != "ready" })
		if len(ready) > 0 {
			return ready[turn%len(ready)]
		}
		name = "node-1"
	}
	if n := c.nodeNamed(name); n != nil {
		return n
	}
	return c.addNode(Node{Name: name})
}

// setHealth sets the health of a described allocation, if its job has a deployment and the health is known.
func (a *allocation) setHealth(j *job, spec Allocation) {
	if j.deployment == nil {
		return
	}
	a.DeploymentID = j.deployment.ID
	if (spec.ClientStatus == "pending" || spec.HealthPending) && !spec.Unhealthy {
		return
	}
	updated := spec.ClientStatus == "complete" && spec.DesiredDescription == descUpdating
	healthy := !spec.Unhealthy && (spec.ClientStatus == "running" || updated)
	a.DeploymentStatus = &allocHealth{Healthy: &healthy}
	if spec.ClientStatus == "running" {
		a.DeploymentStatus.Timestamp = stamp(spec.Modified)
	}
	if !healthy && j.deployment.Status == "failed" && spec.ClientStatus == "running" {
		again := true
		a.DesiredTransition.Reschedule = &again
	}
}

// clientDescriptions are the client descriptions of allocations, by client status.
var clientDescriptions = map[string]string{
	"pending": "No tasks have started", "running": "Tasks are running",
	"complete": "All tasks have completed", "failed": "Failed tasks",
}
