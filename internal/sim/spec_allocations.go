package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
)

// place creates the allocations of one group, and those before them.
func (c *Cluster) place(j *job, g Group) {
	if g.Unplaced != nil {
		j.summary.Summary[g.Name].Queued = g.Unplaced.Queued
	}
	for i, spec := range g.Allocations {
		c.allocate(j, g, i, 0, spec)
	}
}

// allocate creates the allocation with the number i of its group, of which later ones took its place.
func (c *Cluster) allocate(j *job, g Group, i, later int, spec Allocation) *allocation {
	var previous *allocation
	if spec.Previous != nil {
		previous = c.allocate(j, g, i, later+1, spec.preceding())
	}
	of := j.version(spec.Behind)
	g = of.group(g)
	turn := fnv.New32a()
	turn.Write([]byte(j.ID))
	n := c.nodeFor(spec.Node, i+later+int(turn.Sum32()))
	if previous != nil && previous.Job == of && spec.Created.IsZero() {
		spec.Created = previous.nextAt()
	}
	spec.complete(j)
	names := []string{"allocation", j.Namespace, j.ID, g.Name, strconv.Itoa(i)}
	if later > 0 {
		names = append(names, "before", strconv.Itoa(later))
	}
	a := &allocation{
		ID: cmp.Or(spec.ID, uuid(names...)), Namespace: j.Namespace, EvalID: of.registration(),
		Name: fmt.Sprintf("%s.%s[%d]", j.ID, g.Name, i), NodeID: n.ID, NodeName: n.Name, JobID: j.ID,
		TaskGroup: g.Name, ClientStatus: spec.ClientStatus, ClientDescription: clientSays[spec.ClientStatus],
		DesiredStatus: spec.DesiredStatus, DesiredDescription: spec.DesiredDescription,
		TaskStates: map[string]*taskState{}, CreateIndex: of.planned,
		CreateTime: spec.Created.UnixNano(), ModifyTime: spec.Modified.UnixNano(), Job: of, group: g, node: n,
		failing: spec.Failing,
	}
	a.judge(of, spec)
	if previous != nil {
		c.replace(previous, a)
	}
	if same := c.byID[a.ID]; same != nil {
		if same.JobID != j.ID || same.Namespace != j.Namespace {
			panic("sim: the allocations of two jobs have the ID " + a.ID)
		}
		a.CreateIndex = same.CreateIndex
	}
	for _, t := range g.Tasks {
		state, given := spec.Tasks[t.Name]
		if !given && spec.ClientStatus == "running" {
			state.CPU, state.RSS, state.MaxRSS = float64(t.CPU)/10, uint64(t.Memory)<<18, uint64(t.Memory)<<19
		}
		a.TaskStates[t.Name] = state.record(spec)
	}
	j.allocations = append(j.allocations, a)
	j.summary.Summary[g.Name].add(a.ClientStatus)
	return a
}

// nodeFor returns the node with that name or, without a name, the one whose turn it is.
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

// judge sets the allocation's health to the job's deployment, if it has one and the health is known.
func (a *allocation) judge(j *job, spec Allocation) {
	if j.deployment == nil {
		return
	}
	a.DeploymentID = j.deployment.ID
	if (spec.ClientStatus == "pending" || spec.Undecided) && !spec.Unhealthy {
		return
	}
	updated := spec.ClientStatus == "complete" && spec.DesiredDescription == updating
	healthy := !spec.Unhealthy && (spec.ClientStatus == "running" || updated)
	a.DeploymentStatus = &health{Healthy: &healthy}
	if spec.ClientStatus == "running" {
		a.DeploymentStatus.Timestamp = stamp(spec.Modified)
	}
	if !healthy && j.deployment.Status == "failed" && spec.ClientStatus == "running" {
		again := true
		a.DesiredTransition.Reschedule = &again
	}
}

// clientSays is what a client reports beside a status.
var clientSays = map[string]string{
	"pending": "No tasks have started", "running": "Tasks are running",
	"complete": "All tasks have completed", "failed": "Failed tasks",
}
