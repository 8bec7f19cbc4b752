package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run puts a job into the cluster in the state described, in three steps of the index as in a real cluster: it is
// registered, it is planned, its clients report. A job with the same namespace and ID is replaced; what stays of
// it, allocations with the same ID too, keeps its CreateIndex. Namespaces and nodes that it names are added. The maps
// of the description belong to the cluster from then on.
func (c *Cluster) Run(spec Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spec.ID == "" {
		panic("sim: a job needs an ID")
	}
	spec.complete()
	c.addNamespace(spec.Namespace, "")
	j := spec.record()
	old := c.job(j.Namespace, j.ID)
	registered := c.step(tableJobs, tableSummaries, tableEvaluations)
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex = registered, registered, registered
	if old != nil {
		j.CreateIndex = old.CreateIndex
	}
	j.summary = &summary{
		JobID: j.ID, Namespace: j.Namespace, Summary: map[string]*tally{},
		CreateIndex: j.CreateIndex, ModifyIndex: registered,
	}
	for _, g := range j.groups {
		j.summary.Summary[g.Name] = &tally{}
	}
	if !j.isParent() {
		planned := c.step(tableAllocations, tableEvaluations, tableDeployments, tableSummaries)
		j.deploy(spec.Deployment, planned)
		for _, g := range j.groups {
			c.place(j, g, planned)
		}
		j.evaluate(c.nodes, registered, planned)
		reported := c.step(tableJobs, tableSummaries, tableAllocations, tableDeployments)
		j.ModifyIndex, j.summary.ModifyIndex = reported, reported
		for _, a := range j.allocations {
			a.ModifyIndex = reported
			if a.DeploymentStatus != nil {
				a.DeploymentStatus.ModifyIndex = reported
			}
		}
		if j.deployment != nil {
			j.deployment.settle(j, reported)
		}
	}
	j.Status = j.status()
	if old != nil {
		c.remove(old)
	}
	c.store(j)
}

// Purge takes a job and all that belongs to it out of the cluster, if it is there.
func (c *Cluster) Purge(namespace, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j := c.job(namespace, id); j != nil {
		c.step(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments)
		c.remove(j)
		c.countChildren(namespace, j.ParentID)
	}
}

func (c *Cluster) job(namespace, id string) *job {
	if i, found := find(c.jobs, key{namespace: namespace, id: id}, byName); found {
		return c.jobs[i]
	}
	return nil
}

func (c *Cluster) store(j *job) {
	c.jobs = put(c.jobs, j, byName)
	for _, a := range j.allocations {
		c.allocations = put(c.allocations, a, byCreation)
		c.byID[a.ID] = a
	}
	for _, e := range j.evaluations {
		c.evaluations = put(c.evaluations, e, byCreation)
	}
	if j.deployment != nil {
		c.deployments = put(c.deployments, j.deployment, byCreation)
	}
	c.countChildren(j.Namespace, j.ParentID)
	if j.isParent() {
		c.countChildren(j.Namespace, j.ID)
	}
}

func (c *Cluster) remove(j *job) {
	c.jobs = drop(c.jobs, j, byName)
	for _, a := range j.allocations {
		c.allocations = drop(c.allocations, a, byCreation)
		delete(c.byID, a.ID)
	}
	for _, e := range j.evaluations {
		c.evaluations = drop(c.evaluations, e, byCreation)
	}
	if j.deployment != nil {
		c.deployments = drop(c.deployments, j.deployment, byCreation)
	}
}

// countChildren brings the summary of a parent up to date; its children are the IDs that begin with its own.
func (c *Cluster) countChildren(namespace, id string) {
	i, found := find(c.jobs, key{namespace: namespace, id: id}, byName)
	if !found {
		return
	}
	parent, sum := *c.jobs[i], *c.jobs[i].summary
	sum.Children = children{}
	first, _ := find(c.jobs, key{namespace: namespace, id: id + "/"}, byName)
	for _, j := range c.jobs[first:] {
		if j.Namespace != namespace || !strings.HasPrefix(j.ID, id+"/") {
			break
		}
		switch {
		case j.ParentID != id:
		case j.Status == "dead":
			sum.Children.Dead++
		case j.Status == "pending":
			sum.Children.Pending++
		default:
			sum.Children.Running++
		}
	}
	sum.ModifyIndex = c.changedAt[tableSummaries]
	parent.summary = &sum
	c.jobs[i] = &parent
}

// place creates the allocations of one group.
func (c *Cluster) place(j *job, g Group, planned uint64) {
	sum := j.summary.Summary[g.Name]
	if g.Unplaced != nil {
		sum.Queued = g.Unplaced.Queued
	}
	turn := fnv.New32a()
	turn.Write([]byte(j.ID))
	for i, spec := range g.Allocations {
		n := c.nodeFor(spec.Node, i+int(turn.Sum32()))
		spec.complete(j)
		a := &allocation{
			ID: cmp.Or(spec.ID, uuid("allocation", j.Namespace, j.ID, g.Name, strconv.Itoa(i))), Namespace: j.Namespace,
			EvalID: uuid("evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)),
			Name:   fmt.Sprintf("%s.%s[%d]", j.ID, g.Name, i), NodeID: n.ID, NodeName: n.Name, JobID: j.ID,
			TaskGroup: g.Name, ClientStatus: spec.ClientStatus, ClientDescription: clientSays[spec.ClientStatus],
			DesiredStatus: spec.DesiredStatus, DesiredDescription: spec.DesiredDescription,
			TaskStates: map[string]*taskState{}, CreateIndex: planned,
			CreateTime: spec.Created.UnixNano(), ModifyTime: spec.Modified.UnixNano(), Job: j, group: g, node: n,
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
		a.judge(j, spec)
		j.allocations = append(j.allocations, a)
		sum.add(a.ClientStatus)
	}
	slices.SortFunc(j.allocations, func(a, b *allocation) int { return cmp.Compare(a.ID, b.ID) })
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
	healthy := !spec.Unhealthy && spec.ClientStatus == "running"
	if spec.ClientStatus == "pending" && !spec.Unhealthy {
		return
	}
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

// record turns a task's description into what Nomad stores of it.
func (s TaskState) record(a Allocation) *taskState {
	s.complete(a)
	r := &taskState{
		State: s.State, Failed: s.Failed, StartedAt: stamp(s.Started), FinishedAt: stamp(s.Finished), measured: s,
	}
	for _, e := range s.Events {
		if e.Type == "Restarting" {
			r.Restarts++
			r.LastRestart = stamp(time.Unix(0, e.Time))
		}
	}
	r.Restarts = cmp.Or(s.Restarts, r.Restarts)
	r.Events = s.Events[max(len(s.Events)-10, 0):]
	return r
}
