package sim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// What follows when the client agent of a node dies, and when it is started again. The processes of its tasks outlive
// it, as with Nomad's drivers.

// heartbeats is how many steps the servers wait for the heartbeat of a client.
const heartbeats = 2

// allocState is a change of an allocation's status that the servers remember.
type allocState struct {
	Field int // 0: the status that the client reports
	Value string
	Time  time.Time
}

// KillClient kills the client agent of a node. Nothing reaches its allocations from then on. When the servers have
// waited for its heartbeat, the node is down or, if a group on it may be disconnected, disconnected.
func (c *Cluster) KillClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		panic("sim: there is no node " + name)
	}
	n := *old
	n.dead, n.spec.Unreachable = true, true
	c.nodes = put(c.nodes, &n, byName)
	c.after(heartbeats*c.pace, func() { c.missHeartbeat(n.ID) })
}

// StartClient starts the client agent of a node again, or that of a new node.
func (c *Cluster) StartClient(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodeNamed(name)
	if old == nil {
		old = c.addNode(Node{Name: name, Drivers: c.drivers()})
	}
	n := *old
	n.dead, n.spec.Unreachable, n.spec.Down = false, false, false
	c.setStatus(&n, "ready")
	c.nodeUpdated(&n)
	c.later(func() { c.reconnect(n.ID) })
	for _, j := range c.jobs {
		for _, e := range j.evaluations {
			if e.Status == "blocked" {
				again := *e
				again.Status, again.StatusDescription = "pending", ""
				again.ModifyIndex = c.step(tableEvaluations, tableJobs)
				c.queue(&again)
			}
		}
	}
}

// drivers are those of the first node.
func (c *Cluster) drivers() []string {
	if len(c.nodes) == 0 {
		return nil
	}
	return c.nodes[0].spec.Drivers
}

// NodeStatus returns the status of a node, "" when there is none.
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

// dead reports whether the client of an allocation does not run.
func (c *Cluster) dead(a *allocation) bool {
	n := c.nodeByID(a.NodeID)
	return n == nil || n.dead
}

// setStatus stores a node, which is a copy, with another status.
func (c *Cluster) setStatus(n *node, status string) {
	n.Status, n.updated = status, time.Now()
	n.ModifyIndex = c.step(tableNodes)
	c.nodes = put(c.nodes, n, byName)
}

// missHeartbeat gives up a node whose client still does not run.
func (c *Cluster) missHeartbeat(id string) {
	old := c.nodeByID(id)
	if old == nil || !old.dead || old.Status == "down" {
		return
	}
	n := *old
	status := "down"
	if slices.ContainsFunc(c.allocations, func(a *allocation) bool { return a.NodeID == id && a.mayDisconnect() }) {
		status = "disconnected"
	}
	if n.Status == status {
		return
	}
	c.setStatus(&n, status)
	n.missed = append(slices.Clone(n.missed), missedHeartbeat{n.ModifyIndex, n.updated})
	c.nodeUpdated(&n)
}

type missedHeartbeat struct {
	index uint64
	at    time.Time
}

// mayDisconnect reports whether an allocation goes on without its client, as far as the servers know.
func (a *allocation) mayDisconnect() bool {
	return a.group.Disconnect != nil && a.group.Disconnect.LostAfter > 0 && a.DesiredStatus == "run" && !a.expired()
}

// expired reports whether an allocation was unknown for too long.
func (a *allocation) expired() bool {
	if a.ClientStatus != "unknown" || len(a.states) == 0 {
		return false
	}
	var after time.Duration
	if d := a.group.Disconnect; d != nil {
		after = d.LostAfter
	}
	return !time.Now().Before(a.states[len(a.states)-1].Time.Add(after))
}

// replaceable reports whether another allocation may take the place of one whose client is away.
func (g Group) replaceable() bool { return g.Disconnect == nil || !g.Disconnect.Keep }

// nodeUpdated evaluates the jobs that have, or should have, allocations on a node whose status has changed.
func (c *Cluster) nodeUpdated(n *node) {
	for _, j := range slices.Clone(c.jobs) {
		here := func(a *allocation) bool { return a.NodeID == n.ID }
		if !slices.ContainsFunc(j.allocations, here) && (j.Type != "system" || j.Stop) {
			continue
		}
		e := j.pending("node-update", c.step(tableEvaluations, tableJobs), 0)
		e.NodeID, e.NodeModifyIndex = n.ID, n.ModifyIndex
		c.queue(e)
	}
}

// triage sorts out what happened to the nodes of allocations: it returns all of them, in their place the changed copies of
// those that are lost or unknown since.
func (p *plan) triage(all []*allocation) (now []*allocation) {
	system := p.j != nil && (p.j.Type == "system" || p.j.Type == "sysbatch")
	for _, a := range all {
		n := p.c.nodeByID(a.NodeID)
		down := n == nil || n.Status == "down"
		onClient := a.ClientStatus == "running" || a.ClientStatus == "pending"
		switch {
		case a.ClientStatus == "complete" || a.ClientStatus == "failed" || a.ClientStatus == "lost":
		case a.DesiredStatus != "run":
			if down && onClient {
				a = p.lose(a)
			}
		case a.expired():
			a = p.lose(a)
			p.lost[a.TaskGroup] = append(p.lost[a.TaskGroup], a)
		case n != nil && n.Status == "ready":
		case !down && a.ClientStatus == "unknown", !a.group.replaceable() && a.ClientStatus == "unknown":
		case p.j == nil || p.j.Stop:
			if down {
				a = p.lose(a)
			}
		case !down && a.ClientStatus == "running" && (system || a.mayDisconnect()),
			down && a.ClientStatus == "running" && !a.group.replaceable():
			a = p.disconnect(a, system)
		default:
			a = p.lose(a)
			p.lost[a.TaskGroup] = append(p.lost[a.TaskGroup], a)
		}
		now = append(now, a)
	}
	return now
}

// lose gives up an allocation. The states of its tasks stay as its client has reported them last.
func (p *plan) lose(a *allocation) *allocation {
	s := p.stop(a, "alloc is lost since its node is down")
	s.ClientStatus, s.states = "lost", nil
	return s
}

// disconnect finds an allocation unknown: its client is away, and it may go on there.
func (p *plan) disconnect(a *allocation, system bool) *allocation {
	b := a.copy()
	b.ClientStatus, b.ClientDescription = "unknown", "alloc is unknown since its node is disconnected"
	b.states = append(slices.Clone(a.states), allocState{0, "unknown", time.Now()})
	p.changed = append(p.changed, b)
	p.count(a.TaskGroup, "Disconnect")
	if system {
		return b
	}
	if after := a.group.Disconnect.LostAfter; after > 0 {
		e := p.followup(b, "max-disconnect-timeout", "created for delayed disconnect timeout", after, func() {
			p.c.missHeartbeat(b.NodeID)
		})
		b.FollowupEvalID = e.ID
	}
	if a.group.replaceable() && a.mayBeRescheduled() {
		p.count(a.TaskGroup, "RescheduleLater")
		delay := p.c.delayed(a.group.delay(a.Job.Type, a.rescheduled()))
		e := p.followup(b, "alloc-reschedule", "created for delayed rescheduling", delay, nil)
		b.FollowupEvalID = e.ID
	}
	return b
}

// followup records an evaluation that is processed after a while, unless it was canceled, and then done.
func (p *plan) followup(a *allocation, trigger, description string, after time.Duration, then func()) *evaluation {
	c := p.c
	e := p.j.pending(trigger, p.index, p.j.JobModifyIndex)
	e.ID = uuid("followup", trigger, a.ID, strconv.FormatUint(p.index, 10))
	e.StatusDescription, e.PreviousEval, e.WaitUntil = description, p.e.ID, stamp(time.Now().Add(after))
	p.followups = append(p.followups, e)
	c.after(after, func() {
		i := slices.IndexFunc(c.evaluations, func(f *evaluation) bool { return f.ID == e.ID })
		if i < 0 || c.evaluations[i].Status != "pending" {
			return
		}
		if b := c.byID[a.ID]; trigger == "alloc-reschedule" && b != nil && b.ClientStatus == "unknown" {
			due := b.copy()
			due.due = true
			c.amend(c.step(tableAllocations), due)
		}
		again := *c.evaluations[i]
		again.StatusDescription = ""
		c.process(&again)
		if then != nil {
			then()
		}
	})
	return e
}

// reconnect lets a client that runs again report what became of its allocations: what the servers have given up
// meanwhile it stops, and what they did not know of goes on.
func (c *Cluster) reconnect(id string) {
	n := c.nodeByID(id)
	if n == nil || n.dead {
		return
	}
	evaluated := map[string]*job{}
	for _, old := range slices.Clone(c.allocations) {
		if old = c.byID[old.ID]; old == nil || old.NodeID != id {
			continue
		}
		switch {
		case old.DesiredStatus != "run":
			c.later(func() { c.stopped(old.ID) }, c.kill(old.ID, "")...)
		case old.ClientStatus == "unknown" && !old.expired():
			c.found(old)
			if j := c.job(old.Namespace, old.JobID); j != nil {
				evaluated[j.Namespace+"\x00"+j.ID] = j
			}
		case old.ClientStatus == "pending" && len(old.TaskStates) == 0:
			c.receive(old.ID)
		default:
			c.reconcile([]*allocation{old})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(evaluated)) {
		c.evaluate(evaluated[name], "reconnect", c.step(tableEvaluations), 0)
	}
}

// found lets an allocation that was unknown run on, in place of the one that has taken its place meanwhile.
func (c *Cluster) found(old *allocation) {
	now := time.Now()
	next := old.NextAllocation
	c.reported(old)
	c.change(old, func(a *allocation) {
		for _, t := range a.group.Tasks {
			if s := a.TaskStates[t.Name]; s != nil && s.State == "running" {
				a.setTask(t.Name, func(*taskState) {}, event(now, "Reconnected", "Client reconnected", nil))
			}
		}
		a.settle()
		a.states = append(slices.Clone(a.states), allocState{0, a.ClientStatus, now})
		a.FollowupEvalID, a.due = "", false
	})
	if a := c.byID[next]; a != nil && !a.terminal() {
		c.change(a, func(a *allocation) {
			a.DesiredStatus, a.DesiredDescription = "stop", "alloc not needed due to disconnected client reconnect"
			a.planned = c.index + 1
		})
		c.later(func() { c.stopped(a.ID) }, c.kill(a.ID, "")...)
	}
}

// reported cancels the evaluation that followed up on an unknown allocation, of which its client has reported something.
// Nomad does that even when the evaluation was processed.
func (c *Cluster) reported(a *allocation) {
	if n := len(a.states); n == 0 || a.states[n-1].Value != "unknown" {
		return
	}
	i := slices.IndexFunc(c.evaluations, func(e *evaluation) bool { return e.ID == a.FollowupEvalID })
	if i >= 0 {
		canceled := *c.evaluations[i]
		canceled.Status, canceled.StatusDescription, canceled.ModifyIndex = "canceled", "allocs reconnected", c.step(tableEvaluations)
		c.record(&canceled)
	}
}

// events are the node's, as its record lists them.
func (n *node) events() []object {
	all := []object{{
		"CreateIndex": 0, "Details": nil, "Message": "Node registered", "Subsystem": "Cluster", "Timestamp": stamp(n.joined.Truncate(time.Second)),
	}}
	for _, m := range n.missed {
		all = append(all, object{
			"CreateIndex": m.index, "Details": nil, "Message": "Node heartbeat missed", "Subsystem": "Cluster", "Timestamp": stamp(m.at),
		})
	}
	return all
}

// lastMissed is the index of the last heartbeat that was missed; 0: none.
func (n *node) lastMissed() uint64 {
	if len(n.missed) == 0 {
		return 0
	}
	return n.missed[len(n.missed)-1].index
}

// since is when the status of the node changed last.
func (n *node) since() time.Time {
	if n.updated.IsZero() {
		return n.joined
	}
	return n.updated
}

// takePlaces replaces lost allocations, as many as are missing, and returns how many still are.
func (p *plan) takePlaces(g Group, missing int, canarying bool, used map[int]bool) int {
	lost := slices.Clone(p.lost[g.Name])
	slices.SortFunc(lost, func(a, b *allocation) int { return cmp.Compare(a.number(), b.number()) })
	for _, a := range lost {
		if missing <= 0 {
			break
		}
		of := p.j
		if canarying && !a.canary() {
			of = a.Job
		}
		p.placeDeployed(of, g, a.number(), a)
		used[a.number()] = true
		missing--
	}
	return missing
}

// standIn places an allocation beside one that is unknown and may be replaced.
func (p *plan) standIn(g Group, a *allocation) {
	b := a.copy()
	b.due = false
	p.changed = append(p.changed, b)
	if next := p.placeDeployed(p.j, g, a.number(), b); next != nil {
		next.RescheduleTracker = a.tracked(next)
	}
}

// Reported reports whether the client of a node runs and the servers know what became of its allocations.
func (c *Cluster) Reported(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.nodeNamed(name)
	return n != nil && n.Status == "ready" && !n.dead && !slices.ContainsFunc(c.allocations, func(a *allocation) bool {
		gone := a.DesiredStatus != "run" && (a.ClientStatus == "lost" || a.ClientStatus == "running")
		return a.NodeID == n.ID && (gone || a.ClientStatus == "unknown" || a.ClientStatus == "pending")
	})
}
