package store

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// createAllocations creates the described allocations of a group and the allocations that they replaced.
func (st *State) createAllocations(j *Job, g jobspec.Group) {
	if g.Unplaced != nil {
		j.Summary.Summary[g.Name].Queued = g.Unplaced.Queued
	}
	for i, spec := range g.Allocations {
		st.createAllocation(j, g, i, 0, spec)
	}
}

// createAllocation creates the allocation with index i of its group. later is the number of allocations that have
// replaced it, one after the other.
func (st *State) createAllocation(j *Job, g jobspec.Group, i, later int, spec jobspec.Allocation) *Allocation {
	var previous *Allocation
	if spec.Previous != nil {
		previous = st.createAllocation(j, g, i, later+1, spec.PreviousWithDefaults())
	}
	version := j.versionsBack(spec.VersionsBehind)
	g = version.GroupNamed(g)
	turn := fnv.New32a()
	turn.Write([]byte(j.ID))
	n := st.NodeFor(spec.Node, i+later+int(turn.Sum32()))
	if previous != nil && previous.Job == version && spec.Created.IsZero() {
		spec.Created = previous.replacementTime()
	}
	fillAllocation(&spec, j)
	names := []string{"allocation", j.Namespace, j.ID, g.Name, strconv.Itoa(i)}
	if later > 0 {
		names = append(names, "before", strconv.Itoa(later))
	}
	a := &Allocation{
		ID: cmp.Or(spec.ID, jobspec.UUID(names...)), Namespace: j.Namespace, EvalID: version.registerEvaluationID(),
		Name: fmt.Sprintf("%s.%s[%d]", j.ID, g.Name, i), NodeID: n.ID, NodeName: n.Name, JobID: j.ID,
		TaskGroup: g.Name, ClientStatus: spec.ClientStatus, ClientDescription: clientDescriptions[spec.ClientStatus],
		DesiredStatus: spec.DesiredStatus, DesiredDescription: spec.DesiredDescription,
		TaskStates: map[string]*TaskState{}, CreateIndex: version.planIndex,
		CreateTime: spec.Created.UnixNano(), ModifyTime: spec.Modified.UnixNano(), Job: version, Group: g, Node: n,
		FailingChecks: spec.FailingChecks,
	}
	a.setHealth(version, spec)
	if previous != nil {
		st.linkReplacement(previous, a)
	}
	if same := st.AllocationByID(a.ID); same != nil {
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
		a.TaskStates[t.Name] = newTaskState(state, spec)
	}
	j.Allocations = append(j.Allocations, a)
	j.Summary.Summary[g.Name].add(a.ClientStatus)
	return a
}

// NodeFor returns the node with this name. Without a name, it returns one of the ready nodes: the one at index turn,
// modulo the number of ready nodes.
func (st *State) NodeFor(name string, turn int) *Node {
	if name == "" {
		ready := slices.DeleteFunc(slices.Clone(st.Nodes), func(n *Node) bool { return n.Status != "ready" })
		if len(ready) > 0 {
			return ready[turn%len(ready)]
		}
		name = "node-1"
	}
	if n := st.NodeNamed(name); n != nil {
		return n
	}
	return st.AddNode(jobspec.Node{Name: name})
}

// setHealth sets the health of a described allocation, if its job has a deployment and the health is known.
func (a *Allocation) setHealth(j *Job, spec jobspec.Allocation) {
	if j.Deployment == nil {
		return
	}
	a.DeploymentID = j.Deployment.ID
	if (spec.ClientStatus == "pending" || spec.HealthPending) && !spec.Unhealthy {
		return
	}
	updated := spec.ClientStatus == "complete" && spec.DesiredDescription == jobspec.DescUpdating
	healthy := !spec.Unhealthy && (spec.ClientStatus == "running" || updated)
	a.DeploymentStatus = &AllocHealth{Healthy: &healthy}
	if spec.ClientStatus == "running" {
		a.DeploymentStatus.Timestamp = Stamp(spec.Modified)
	}
	if !healthy && j.Deployment.Status == "failed" && spec.ClientStatus == "running" {
		again := true
		a.DesiredTransition.Reschedule = &again
	}
}

// clientDescriptions are the client descriptions of allocations, by client status.
var clientDescriptions = map[string]string{
	"pending": "No tasks have started", "running": "Tasks are running",
	"complete": "All tasks have completed", "failed": "Failed tasks",
}

// fillAllocation fills in the defaults of the description of an allocation.
func fillAllocation(a *jobspec.Allocation, j *Job) {
	a.ClientStatus = cmp.Or(a.ClientStatus, "running")
	a.DesiredStatus = cmp.Or(a.DesiredStatus, "run")
	if a.Created.IsZero() {
		a.Created = time.Unix(0, j.versionsBack(a.VersionsBehind).SubmitTime)
	}
	if a.Modified.IsZero() {
		a.Modified = a.Created
	}
}

// newTaskState returns the record of a described task state.
func newTaskState(s jobspec.TaskState, a jobspec.Allocation) *TaskState {
	s.FillDefaults(a)
	r := &TaskState{
		State: s.State, Failed: s.Failed, StartedAt: Stamp(s.Started), FinishedAt: Stamp(s.Finished), Measured: s,
	}
	for _, e := range s.Events {
		if e.Type == "Restarting" {
			r.Restarts++
			r.LastRestart = Stamp(time.Unix(0, e.Time))
		}
	}
	r.Restarts = cmp.Or(s.Restarts, r.Restarts)
	r.Events = s.Events[max(len(s.Events)-10, 0):]
	return r
}
