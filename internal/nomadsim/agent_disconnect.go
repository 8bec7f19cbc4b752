package nomadsim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// This file simulates the loss and the return of a node's client agent. As with Nomad's drivers, the processes of the
// tasks outlive the agent.

// heartbeatSteps is the number of steps after which the servers miss the heartbeat of a client.
const heartbeatSteps = 2

// allocState is a recorded change of an allocation's status.
type allocState struct {
	Field int // 0: the client status
	Value string
	Time  time.Time
}

// KillClient kills the client agent of a node. Its allocations are not reachable from then on. After the heartbeat
// timeout the node is down, or disconnected if a group on it has a disconnect block.
func (c *Cluster) KillClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		panic("nomadsim: no such node: " + name)
	}
	n := *old
	n.agentDown, n.spec.Unreachable = true, true
	c.nodes = put(c.nodes, &n, byName)
	c.afterDelay(heartbeatSteps*c.stepInterval, func() { c.missHeartbeat(n.ID) })
}

// StartClient starts the client agent of a node again, or that of a new node.
func (c *Cluster) StartClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		old = c.addNode(Node{Name: name, Drivers: c.defaultDrivers()})
	}
	n := *old
	n.agentDown, n.spec.Unreachable, n.spec.Down = false, false, false
	c.setNodeStatus(&n, "ready")
	c.evaluateNode(&n)
	c.afterStep(func() { c.reconnect(n.ID) })
	for _, j := range c.jobs {
		for _, e := range j.evaluations {
			if e.Status == "blocked" {
				again := *e
				again.Status, again.StatusDescription = "pending", ""
				again.ModifyIndex = c.nextIndex(tableEvaluations, tableJobs)
				c.enqueue(&again)
			}
		}
	}
}

// defaultDrivers returns the drivers of the first node.
func (c *Cluster) defaultDrivers() []string {
	if len(c.nodes) == 0 {
		return nil
	}
	return c.nodes[0].spec.Drivers
}

// NodeStatus returns the status of a node, or "" if there is no such node.
func (c *Cluster) NodeStatus(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n := c.nodeNamed(name); n != nil {
		return n.Status
	}
	return ""
}

func (c *Cluster) nodeByID(id string) *node {
	if i, found := find(c.nodes, key{id: id}, byName); found {
		return c.nodes[i]
	}
	return nil
}

// agentDown reports whether the client agent of an allocation is not running.
func (c *Cluster) agentDown(a *allocation) bool {
	n := c.nodeByID(a.NodeID)
	return n == nil || n.agentDown
}

// setNodeStatus stores a node with another status. n must be a copy.
func (c *Cluster) setNodeStatus(n *node, status string) {
	n.Status, n.updated = status, time.Now()
	n.ModifyIndex = c.nextIndex(tableNodes)
	c.nodes = put(c.nodes, n, byName)
}

// missHeartbeat marks a node as down or disconnected if its agent is still not running.
func (c *Cluster) missHeartbeat(id string) {
	old := c.nodeByID(id)
	if old == nil || !old.agentDown || old.Status == "down" {
		return
	}
	n := *old
	status := "down"
	if slices.ContainsFunc(c.allocations, func(a *allocation) bool { return a.NodeID == id && a.canDisconnect() }) {
		status = "disconnected"
	}
	if n.Status == status {
		return
	}
	c.setNodeStatus(&n, status)
	n.missed = append(slices.Clone(n.missed), missedHeartbeat{n.ModifyIndex, n.updated})
	c.evaluateNode(&n)
}

type missedHeartbeat struct {
	index uint64
	at    time.Time
}

// canDisconnect reports whether an allocation may become unknown when its client disconnects.
func (a *allocation) canDisconnect() bool {
	return a.group.Disconnect != nil && a.group.Disconnect.LostAfter > 0 && a.DesiredStatus == "run" &&
		!a.disconnectExpired()
}

// disconnectExpired reports whether an allocation was unknown for longer than its group permits.
func (a *allocation) disconnectExpired() bool {
	if a.ClientStatus != "unknown" || len(a.statusHistory) == 0 {
		return false
	}
	var after time.Duration
	if d := a.group.Disconnect; d != nil {
		after = d.LostAfter
	}
	return !time.Now().Before(a.statusHistory[len(a.statusHistory)-1].Time.Add(after))
}

// mayReplace reports whether an allocation on a disconnected node may be replaced.
func (g Group) mayReplace() bool { return g.Disconnect == nil || !g.Disconnect.NoReplace }

// evaluateNode evaluates all jobs that a changed node status affects: jobs with allocations on the node, and system
// jobs.
func (c *Cluster) evaluateNode(n *node) {
	for _, j := range slices.Clone(c.jobs) {
		onNode := func(a *allocation) bool { return a.NodeID == n.ID }
		if !slices.ContainsFunc(j.allocations, onNode) && (j.Type != "system" || j.Stop) {
			continue
		}
		e := j.newPendingEvaluation("node-update", c.nextIndex(tableEvaluations, tableJobs), 0)
		e.NodeID, e.NodeModifyIndex = n.ID, n.ModifyIndex
		c.enqueue(e)
	}
}

// applyNodeStatus marks allocations as lost or unknown if their node is down or disconnected. It returns all
// allocations of the job; marked ones are changed copies.
func (p *plan) applyNodeStatus(all []*allocation) (now []*allocation) {
	system := p.job != nil && (p.job.Type == "system" || p.job.Type == "sysbatch")
	for _, a := range all {
		n := p.cluster.nodeByID(a.NodeID)
		down := n == nil || n.Status == "down"
		onClient := a.ClientStatus == "running" || a.ClientStatus == "pending"
		switch {
		case a.ClientStatus == "complete" || a.ClientStatus == "failed" || a.ClientStatus == "lost":
		case a.DesiredStatus != "run":
			if down && onClient {
				a = p.markLost(a)
			}
		case a.disconnectExpired():
			a = p.markLost(a)
			p.lost[a.TaskGroup] = append(p.lost[a.TaskGroup], a)
		case n != nil && n.Status == "ready":
		case !down && a.ClientStatus == "unknown", !a.group.mayReplace() && a.ClientStatus == "unknown":
		case p.job == nil || p.job.Stop:
			if down {
				a = p.markLost(a)
			}
		case !down && a.ClientStatus == "running" && (system || a.canDisconnect()),
			down && a.ClientStatus == "running" && !a.group.mayReplace():
			a = p.markUnknown(a, system)
		default:
			a = p.markLost(a)
			p.lost[a.TaskGroup] = append(p.lost[a.TaskGroup], a)
		}
		now = append(now, a)
	}
	return now
}

// markLost marks an allocation as lost. Its task states remain as the client last reported them.
func (p *plan) markLost(a *allocation) *allocation {
	s := p.stop(a, "alloc is lost since its node is down")
	s.ClientStatus, s.statusHistory = "lost", nil
	return s
}

// markUnknown marks an allocation on a disconnected node as unknown. It may still be running.
func (p *plan) markUnknown(a *allocation, system bool) *allocation {
	b := a.copy()
	b.ClientStatus, b.ClientDescription = "unknown", "alloc is unknown since its node is disconnected"
	b.statusHistory = append(slices.Clone(a.statusHistory), allocState{0, "unknown", time.Now()})
	p.changed = append(p.changed, b)
	p.annotate(a.TaskGroup, "Disconnect")
	if system {
		return b
	}
	if after := a.group.Disconnect.LostAfter; after > 0 {
		e := p.addFollowup(b, "max-disconnect-timeout", "created for delayed disconnect timeout", after, func() {
			p.cluster.missHeartbeat(b.NodeID)
		})
		b.FollowupEvalID = e.ID
	}
	if a.group.mayReplace() && a.canReschedule() {
		p.annotate(a.TaskGroup, "RescheduleLater")
		delay := p.cluster.capDelay(a.group.delay(a.Job.Type, a.rescheduleCount()))
		e := p.addFollowup(b, "alloc-reschedule", "created for delayed rescheduling", delay, nil)
		b.FollowupEvalID = e.ID
	}
	return b
}

// addFollowup records an evaluation that waits. After the delay, unless it was canceled, the evaluation is processed
// and onDue (may be nil) is called.
func (p *plan) addFollowup(a *allocation, trigger, description string, after time.Duration, onDue func()) *evaluation {
	c := p.cluster
	e := p.job.newPendingEvaluation(trigger, p.index, p.job.JobModifyIndex)
	e.ID = uuid("followup", trigger, a.ID, strconv.FormatUint(p.index, 10))
	e.StatusDescription, e.PreviousEval, e.WaitUntil = description, p.eval.ID, stamp(time.Now().Add(after))
	p.followups = append(p.followups, e)
	c.afterDelay(after, func() {
		i := slices.IndexFunc(c.evaluations, func(f *evaluation) bool { return f.ID == e.ID })
		if i < 0 || c.evaluations[i].Status != "pending" {
			return
		}
		if b := c.allocationByID[a.ID]; trigger == "alloc-reschedule" && b != nil && b.ClientStatus == "unknown" {
			due := b.copy()
			due.replaceNow = true
			c.storeAllocations(c.nextIndex(tableAllocations), due)
		}
		again := *c.evaluations[i]
		again.StatusDescription = ""
		c.processEvaluation(&again)
		if onDue != nil {
			onDue()
		}
	})
	return e
}

// reconnect reports the allocations of a client that runs again. The client stops the allocations that the servers
// gave up, and the unknown ones continue.
func (c *Cluster) reconnect(id string) {
	n := c.nodeByID(id)
	if n == nil || n.agentDown {
		return
	}
	toEvaluate := map[string]*job{}
	for _, old := range slices.Clone(c.allocations) {
		if old = c.allocationByID[old.ID]; old == nil || old.NodeID != id {
			continue
		}
		switch {
		case old.DesiredStatus != "run":
			c.afterStep(func() { c.finishStop(old.ID) }, c.killTasks(old.ID, "")...)
		case old.ClientStatus == "unknown" && !old.disconnectExpired():
			c.resumeAllocation(old)
			if j := c.job(old.Namespace, old.JobID); j != nil {
				toEvaluate[j.Namespace+"\x00"+j.ID] = j
			}
		case old.ClientStatus == "pending" && len(old.TaskStates) == 0:
			c.startAllocation(old.ID)
		default:
			c.syncProcesses([]*allocation{old})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(toEvaluate)) {
		c.evaluate(toEvaluate[name], "reconnect", c.nextIndex(tableEvaluations), 0)
	}
}

// resumeAllocation makes an unknown allocation running again and stops its replacement.
func (c *Cluster) resumeAllocation(old *allocation) {
	now := time.Now()
	next := old.NextAllocation
	c.cancelFollowup(old)
	c.updateAllocation(old, func(a *allocation) {
		for _, t := range a.group.Tasks {
			if s := a.TaskStates[t.Name]; s != nil && s.State == "running" {
				a.updateTask(t.Name, func(*taskState) {}, newEvent(now, "Reconnected", "Client reconnected", nil))
			}
		}
		a.deriveStatus()
		a.statusHistory = append(slices.Clone(a.statusHistory), allocState{0, a.ClientStatus, now})
		a.FollowupEvalID, a.replaceNow = "", false
	})
	if a := c.allocationByID[next]; a != nil && !a.terminal() {
		c.updateAllocation(a, func(a *allocation) {
			a.DesiredStatus, a.DesiredDescription = "stop", "alloc not needed due to disconnected client reconnect"
			a.planIndex = c.index + 1
		})
		c.afterStep(func() { c.finishStop(a.ID) }, c.killTasks(a.ID, "")...)
	}
}

// cancelFollowup cancels the follow-up evaluation of an unknown allocation whose client has reported again. Nomad
// does that even for an evaluation that was processed.
func (c *Cluster) cancelFollowup(a *allocation) {
	if n := len(a.statusHistory); n == 0 || a.statusHistory[n-1].Value != "unknown" {
		return
	}
	i := slices.IndexFunc(c.evaluations, func(e *evaluation) bool { return e.ID == a.FollowupEvalID })
	if i >= 0 {
		canceled := *c.evaluations[i]
		canceled.Status, canceled.StatusDescription = "canceled", "allocs reconnected"
		canceled.ModifyIndex = c.nextIndex(tableEvaluations)
		c.storeEvaluation(&canceled)
	}
}

// eventList returns the events of the node's record.
func (n *node) eventList() []object {
	all := []object{{
		"CreateIndex": 0, "Details": nil, "Message": "Node registered", "Subsystem": "Cluster",
		"Timestamp": stamp(n.joined.Truncate(time.Second)),
	}}
	for _, m := range n.missed {
		all = append(all, object{
			"CreateIndex": m.index, "Details": nil, "Message": "Node heartbeat missed", "Subsystem": "Cluster",
			"Timestamp": stamp(m.at),
		})
	}
	return all
}

// lastMissedIndex returns the index of the last missed heartbeat, or 0.
func (n *node) lastMissedIndex() uint64 {
	if len(n.missed) == 0 {
		return 0
	}
	return n.missed[len(n.missed)-1].index
}

// statusSince returns the time of the node's last status change.
func (n *node) statusSince() time.Time {
	if n.updated.IsZero() {
		return n.joined
	}
	return n.updated
}

// replaceLost replaces at most missing lost allocations, and returns the number of allocations that are still missing.
func (p *plan) replaceLost(g Group, missing int, canaries bool, used map[int]bool) int {
	lost := slices.Clone(p.lost[g.Name])
	slices.SortFunc(lost, func(a, b *allocation) int { return cmp.Compare(a.index(), b.index()) })
	for _, a := range lost {
		if missing <= 0 {
			break
		}
		version := p.job
		if canaries && !a.isCanary() {
			version = a.Job
		}
		p.addToDeployment(version, g, a.index(), a)
		used[a.index()] = true
		missing--
	}
	return missing
}

// replaceUnknown adds a replacement for an unknown allocation.
func (p *plan) replaceUnknown(g Group, a *allocation) {
	b := a.copy()
	b.replaceNow = false
	p.changed = append(p.changed, b)
	if next := p.addToDeployment(p.job, g, a.index(), b); next != nil {
		next.RescheduleTracker = a.nextTracker(next)
	}
}

// ClientInSync reports whether the client of a node is running and has reported all of its allocations.
func (c *Cluster) ClientInSync(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.nodeNamed(name)
	return n != nil && n.Status == "ready" && !n.agentDown &&
		!slices.ContainsFunc(c.allocations, func(a *allocation) bool {
			stopping := a.DesiredStatus != "run" && (a.ClientStatus == "lost" || a.ClientStatus == "running")
			return a.NodeID == n.ID && (stopping || a.ClientStatus == "unknown" || a.ClientStatus == "pending")
		})
}
