package scheduler

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file simulates the loss and the return of a node's client agent. As with Nomad's drivers, the processes of the
// tasks outlive the agent.

// heartbeatSteps is the number of steps after which the servers miss the heartbeat of a client.
const heartbeatSteps = 2

// missHeartbeat marks a node as down or disconnected if its agent is still not running.
func (sc *Scheduler) missHeartbeat(st *store.State, id string) {
	old := st.NodeByID(id)
	if old == nil || !old.AgentDown || old.Status == "down" {
		return
	}
	n := *old
	status := "down"
	if slices.ContainsFunc(st.Allocations, func(a *store.Allocation) bool { return a.NodeID == id && a.CanDisconnect() }) {
		status = "disconnected"
	}
	if n.Status == status {
		return
	}
	st.SetNodeStatus(&n, status)
	n.Missed = append(slices.Clone(n.Missed), store.MissedHeartbeat{Index: n.ModifyIndex, At: n.Updated})
	sc.evaluateNode(st, &n)
}

// evaluateNode evaluates all jobs that a changed node status affects: jobs with allocations on the node, and system
// jobs.
func (sc *Scheduler) evaluateNode(st *store.State, n *store.Node) {
	for _, j := range slices.Clone(st.Jobs) {
		onNode := func(a *store.Allocation) bool { return a.NodeID == n.ID }
		if !slices.ContainsFunc(j.Allocations, onNode) && (j.Type != "system" || j.Stop) {
			continue
		}
		e := j.NewPendingEvaluation("node-update", st.NextIndex(store.TableEvaluations, store.TableJobs), 0)
		e.NodeID, e.NodeModifyIndex = n.ID, n.ModifyIndex
		sc.Enqueue(st, e)
	}
}

// applyNodeStatus marks allocations as lost or unknown if their node is down or disconnected. It returns all
// allocations of the job; marked ones are changed copies.
func (p *plan) applyNodeStatus(all []*store.Allocation) (now []*store.Allocation) {
	system := p.job != nil && (p.job.Type == "system" || p.job.Type == "sysbatch")
	for _, a := range all {
		n := p.st.NodeByID(a.NodeID)
		down := n == nil || n.Status == "down"
		onClient := a.ClientStatus == "running" || a.ClientStatus == "pending"
		switch {
		case a.ClientStatus == "complete" || a.ClientStatus == "failed" || a.ClientStatus == "lost":
		case a.DesiredStatus != "run":
			if down && onClient {
				a = p.markLost(a)
			}
		case a.DisconnectExpired():
			a = p.markLost(a)
			p.lost[a.TaskGroup] = append(p.lost[a.TaskGroup], a)
		case n != nil && n.Status == "ready":
		case !down && a.ClientStatus == "unknown", !a.Group.MayReplace() && a.ClientStatus == "unknown":
		case p.job == nil || p.job.Stop:
			if down {
				a = p.markLost(a)
			}
		case !down && a.ClientStatus == "running" && (system || a.CanDisconnect()),
			down && a.ClientStatus == "running" && !a.Group.MayReplace():
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
func (p *plan) markLost(a *store.Allocation) *store.Allocation {
	s := p.stop(a, "alloc is lost since its node is down")
	s.ClientStatus, s.StatusHistory = "lost", nil
	return s
}

// markUnknown marks an allocation on a disconnected node as unknown. It may still be running.
func (p *plan) markUnknown(a *store.Allocation, system bool) *store.Allocation {
	b := a.Copy()
	b.ClientStatus, b.ClientDescription = "unknown", "alloc is unknown since its node is disconnected"
	b.StatusHistory = append(slices.Clone(a.StatusHistory), store.AllocState{Value: "unknown", Time: time.Now()})
	p.changed = append(p.changed, b)
	p.annotate(a.TaskGroup, "Disconnect")
	if system {
		return b
	}
	if after := a.Group.Disconnect.LostAfter; after > 0 {
		e := p.addFollowup(b, "max-disconnect-timeout", "created for delayed disconnect timeout", after, func() {
			p.sc.missHeartbeat(p.st, b.NodeID)
		})
		b.FollowupEvalID = e.ID
	}
	if a.Group.MayReplace() && a.CanReschedule() {
		p.annotate(a.TaskGroup, "RescheduleLater")
		delay := p.st.CapDelay(a.Group.RescheduleDelay(a.Job.Type, a.RescheduleCount()))
		e := p.addFollowup(b, "alloc-reschedule", "created for delayed rescheduling", delay, nil)
		b.FollowupEvalID = e.ID
	}
	return b
}

// addFollowup records an evaluation that waits. After the delay, unless it was canceled, the evaluation is processed
// and onDue (may be nil) is called.
func (p *plan) addFollowup(a *store.Allocation, trigger, description string, after time.Duration,
	onDue func(),
) *store.Evaluation {
	sc, st := p.sc, p.st
	e := p.job.NewPendingEvaluation(trigger, p.index, p.job.JobModifyIndex)
	e.ID = jobspec.UUID("followup", trigger, a.ID, strconv.FormatUint(p.index, 10))
	e.StatusDescription, e.PreviousEval, e.WaitUntil = description, p.eval.ID, store.Stamp(time.Now().Add(after))
	p.followups = append(p.followups, e)
	st.AfterDelay(after, func(st *store.State) {
		i := slices.IndexFunc(st.Evaluations, func(f *store.Evaluation) bool { return f.ID == e.ID })
		if i < 0 || st.Evaluations[i].Status != "pending" {
			return
		}
		if b := st.AllocationByID(a.ID); trigger == "alloc-reschedule" && b != nil && b.ClientStatus == "unknown" {
			due := b.Copy()
			due.ReplaceNow = true
			st.StoreAllocations(st.NextIndex(store.TableAllocations), due)
		}
		again := *st.Evaluations[i]
		again.StatusDescription = ""
		sc.processEvaluation(st, &again)
		if onDue != nil {
			onDue()
		}
	})
	return e
}

// replaceLost replaces lost allocations, but not more than the number missing. It returns how many are still missing.
func (p *plan) replaceLost(g jobspec.Group, missing int, canaries bool, used map[int]bool) int {
	lost := slices.Clone(p.lost[g.Name])
	slices.SortFunc(lost, func(a, b *store.Allocation) int { return cmp.Compare(a.Index(), b.Index()) })
	for _, a := range lost {
		if missing <= 0 {
			break
		}
		version := p.job
		if canaries && !a.IsCanary() {
			version = a.Job
		}
		p.addToDeployment(version, g, a.Index(), a)
		used[a.Index()] = true
		missing--
	}
	return missing
}

// replaceUnknown adds a replacement for an unknown allocation.
func (p *plan) replaceUnknown(g jobspec.Group, a *store.Allocation) {
	b := a.Copy()
	b.ReplaceNow = false
	p.changed = append(p.changed, b)
	if next := p.addToDeployment(p.job, g, a.Index(), b); next != nil {
		next.RescheduleTracker = a.NextTracker(next)
	}
}

// KillClient handles the death of a node's client agent. After the heartbeat timeout the node is down, or disconnected
// if a group on it has a disconnect block with lost_after.
func (sc *Scheduler) KillClient(st *store.State, old *store.Node) {
	n := *old
	n.AgentDown, n.Spec.Unreachable = true, true
	st.StoreNode(&n)
	st.AfterDelay(st.Steps(heartbeatSteps), func(st *store.State) { sc.missHeartbeat(st, n.ID) })
}

// StartClient handles the start of a node's client agent: the node is ready, and evaluations that were blocked are
// processed again.
func (sc *Scheduler) StartClient(st *store.State, old *store.Node) {
	n := *old
	n.AgentDown, n.Spec.Unreachable, n.Spec.Down = false, false, false
	st.SetNodeStatus(&n, "ready")
	sc.evaluateNode(st, &n)
	for _, j := range st.Jobs {
		for _, e := range j.Evaluations {
			if e.Status == "blocked" {
				again := *e
				again.Status, again.StatusDescription = "pending", ""
				again.ModifyIndex = st.NextIndex(store.TableEvaluations, store.TableJobs)
				sc.Enqueue(st, &again)
			}
		}
	}
}
