package nomadsim

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// This file simulates the loss and the return of a node's client agent. As with Nomad's drivers, the processes of the
// tasks outlive the agent.

// heartbeatSteps is the number of steps after which the servers miss the heartbeat of a client.
const heartbeatSteps = 2

// missHeartbeat marks a node as down or disconnected if its agent is still not running.
func (sc *scheduler) missHeartbeat(st *state, id string) {
	old := st.nodeByID(id)
	if old == nil || !old.agentDown || old.Status == "down" {
		return
	}
	n := *old
	status := "down"
	if slices.ContainsFunc(st.allocations, func(a *allocation) bool { return a.NodeID == id && a.canDisconnect() }) {
		status = "disconnected"
	}
	if n.Status == status {
		return
	}
	st.setNodeStatus(&n, status)
	n.missed = append(slices.Clone(n.missed), missedHeartbeat{n.ModifyIndex, n.updated})
	sc.evaluateNode(st, &n)
}

// evaluateNode evaluates all jobs that a changed node status affects: jobs with allocations on the node, and system
// jobs.
func (sc *scheduler) evaluateNode(st *state, n *node) {
	for _, j := range slices.Clone(st.jobs) {
		onNode := func(a *allocation) bool { return a.NodeID == n.ID }
		if !slices.ContainsFunc(j.allocations, onNode) && (j.Type != "system" || j.Stop) {
			continue
		}
		e := j.newPendingEvaluation("node-update", st.nextIndex(tableEvaluations, tableJobs), 0)
		e.NodeID, e.NodeModifyIndex = n.ID, n.ModifyIndex
		sc.enqueue(st, e)
	}
}

// applyNodeStatus marks the allocations of the job that are lost or unknown because of their nodes. It returns all of
// them, the marked ones as changed copies.
func (p *plan) applyNodeStatus(all []*allocation) (now []*allocation) {
	system := p.job != nil && (p.job.Type == "system" || p.job.Type == "sysbatch")
	for _, a := range all {
		n := p.st.nodeByID(a.NodeID)
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
		case !down && a.ClientStatus == "unknown", !a.group.MayReplace() && a.ClientStatus == "unknown":
		case p.job == nil || p.job.Stop:
			if down {
				a = p.markLost(a)
			}
		case !down && a.ClientStatus == "running" && (system || a.canDisconnect()),
			down && a.ClientStatus == "running" && !a.group.MayReplace():
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
			p.sc.missHeartbeat(p.st, b.NodeID)
		})
		b.FollowupEvalID = e.ID
	}
	if a.group.MayReplace() && a.canReschedule() {
		p.annotate(a.TaskGroup, "RescheduleLater")
		delay := p.st.capDelay(a.group.RescheduleDelay(a.Job.Type, a.rescheduleCount()))
		e := p.addFollowup(b, "alloc-reschedule", "created for delayed rescheduling", delay, nil)
		b.FollowupEvalID = e.ID
	}
	return b
}

// addFollowup records an evaluation that waits. After the delay, unless it was canceled, the evaluation is processed
// and onDue (may be nil) is called.
func (p *plan) addFollowup(a *allocation, trigger, description string, after time.Duration, onDue func()) *evaluation {
	sc, st := p.sc, p.st
	e := p.job.newPendingEvaluation(trigger, p.index, p.job.JobModifyIndex)
	e.ID = jobspec.UUID("followup", trigger, a.ID, strconv.FormatUint(p.index, 10))
	e.StatusDescription, e.PreviousEval, e.WaitUntil = description, p.eval.ID, stamp(time.Now().Add(after))
	p.followups = append(p.followups, e)
	st.afterDelay(after, func(st *state) {
		i := slices.IndexFunc(st.evaluations, func(f *evaluation) bool { return f.ID == e.ID })
		if i < 0 || st.evaluations[i].Status != "pending" {
			return
		}
		if b := st.allocationByID(a.ID); trigger == "alloc-reschedule" && b != nil && b.ClientStatus == "unknown" {
			due := b.copy()
			due.replaceNow = true
			st.storeAllocations(st.nextIndex(tableAllocations), due)
		}
		again := *st.evaluations[i]
		again.StatusDescription = ""
		sc.processEvaluation(st, &again)
		if onDue != nil {
			onDue()
		}
	})
	return e
}

// replaceLost replaces lost allocations until none is missing, and returns how many still are.
func (p *plan) replaceLost(g jobspec.Group, missing int, canaries bool, used map[int]bool) int {
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
func (p *plan) replaceUnknown(g jobspec.Group, a *allocation) {
	b := a.copy()
	b.replaceNow = false
	p.changed = append(p.changed, b)
	if next := p.addToDeployment(p.job, g, a.index(), b); next != nil {
		next.RescheduleTracker = a.nextTracker(next)
	}
}

// KillClient handles the death of a node's client agent. After the heartbeat timeout the node is down, or disconnected
// if a group on it has a disconnect block.
func (sc *scheduler) KillClient(st *state, old *node) {
	n := *old
	n.agentDown, n.spec.Unreachable = true, true
	st.storeNode(&n)
	st.afterDelay(st.steps(heartbeatSteps), func(st *state) { sc.missHeartbeat(st, n.ID) })
}

// StartClient handles the start of a node's client agent: the node is ready, and evaluations that were blocked are
// processed again.
func (sc *scheduler) StartClient(st *state, old *node) {
	n := *old
	n.agentDown, n.spec.Unreachable, n.spec.Down = false, false, false
	st.setNodeStatus(&n, "ready")
	sc.evaluateNode(st, &n)
	for _, j := range st.jobs {
		for _, e := range j.evaluations {
			if e.Status == "blocked" {
				again := *e
				again.Status, again.StatusDescription = "pending", ""
				again.ModifyIndex = st.nextIndex(tableEvaluations, tableJobs)
				sc.enqueue(st, &again)
			}
		}
	}
}
