package nomadsim

import (
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// reconnect reports the allocations of a client that runs again. The client stops the allocations that the servers
// gave up, and the unknown ones continue.
func (ag *agents) reconnect(st *state, id string) {
	n := st.nodeByID(id)
	if n == nil || n.agentDown {
		return
	}
	toEvaluate := map[string]*job{}
	for _, old := range slices.Clone(st.allocations) {
		if old = st.allocationByID(old.ID); old == nil || old.NodeID != id {
			continue
		}
		switch {
		case old.DesiredStatus != "run":
			ag.stop(st, old.ID)
		case old.ClientStatus == "unknown" && !old.disconnectExpired():
			ag.resumeAllocation(st, old)
			if j := st.job(old.Namespace, old.JobID); j != nil {
				toEvaluate[j.Namespace+"\x00"+j.ID] = j
			}
		case old.ClientStatus == "pending" && len(old.TaskStates) == 0:
			ag.startAllocation(st, old.ID)
		default:
			ag.syncProcesses(st, []*allocation{old})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(toEvaluate)) {
		ag.servers.evaluate(st, toEvaluate[name], "reconnect", st.nextIndex(tableEvaluations), 0)
	}
}

// resumeAllocation makes an unknown allocation running again and stops its replacement.
func (ag *agents) resumeAllocation(st *state, old *allocation) {
	now := time.Now()
	next := old.NextAllocation
	st.cancelFollowup(old)
	st.updateAllocation(old, func(a *allocation) {
		for _, t := range a.group.Tasks {
			if s := a.TaskStates[t.Name]; s != nil && s.State == "running" {
				a.updateTask(t.Name, func(*taskState) {}, jobspec.NewEvent(now, "Reconnected", "Client reconnected", nil))
			}
		}
		a.deriveStatus()
		a.statusHistory = append(slices.Clone(a.statusHistory), allocState{0, a.ClientStatus, now})
		a.FollowupEvalID, a.replaceNow = "", false
	})
	if a := st.allocationByID(next); a != nil && !a.terminal() {
		st.updateAllocation(a, func(a *allocation) {
			a.DesiredStatus, a.DesiredDescription = "stop", "alloc not needed due to disconnected client reconnect"
			a.planIndex = st.index + 1
		})
		ag.stop(st, a.ID)
	}
}
