package agent

import (
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// Reconnect reports the allocations of a client that runs again. The client stops the allocations that the servers
// gave up, and the unknown ones continue.
func (ag *Agents) Reconnect(st *store.State, id string) {
	n := st.NodeByID(id)
	if n == nil || n.AgentDown {
		return
	}
	toEvaluate := map[string]*store.Job{}
	for _, old := range slices.Clone(st.Allocations) {
		if old = st.AllocationByID(old.ID); old == nil || old.NodeID != id {
			continue
		}
		switch {
		case old.DesiredStatus != "run":
			ag.Stop(st, old.ID)
		case old.ClientStatus == "unknown" && !old.DisconnectExpired():
			ag.resumeAllocation(st, old)
			if j := st.Job(old.Namespace, old.JobID); j != nil {
				toEvaluate[j.Namespace+"\x00"+j.ID] = j
			}
		case old.ClientStatus == "pending" && len(old.TaskStates) == 0:
			ag.startAllocation(st, old.ID)
		default:
			ag.SyncProcesses(st, []*store.Allocation{old})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(toEvaluate)) {
		ag.servers.Evaluate(st, toEvaluate[name], "reconnect", st.NextIndex(store.TableEvaluations), 0)
	}
}

// resumeAllocation sets an unknown allocation back to running and stops its replacement.
func (ag *Agents) resumeAllocation(st *store.State, old *store.Allocation) {
	now := time.Now()
	next := old.NextAllocation
	st.CancelFollowup(old)
	st.UpdateAllocation(old, func(a *store.Allocation) {
		for _, t := range a.Group.Tasks {
			if s := a.TaskStates[t.Name]; s != nil && s.State == "running" {
				a.UpdateTask(t.Name, func(*store.TaskState) {}, jobspec.NewEvent(now, "Reconnected", "Client reconnected", nil))
			}
		}
		a.DeriveStatus()
		a.StatusHistory = append(slices.Clone(a.StatusHistory), store.AllocState{Value: a.ClientStatus, Time: now})
		a.FollowupEvalID, a.ReplaceNow = "", false
	})
	if a := st.AllocationByID(next); a != nil && !a.Terminal() {
		st.UpdateAllocation(a, func(a *store.Allocation) {
			a.DesiredStatus, a.DesiredDescription = "stop", "alloc not needed due to disconnected client reconnect"
			a.PlanIndex = st.Index + 1
		})
		ag.Stop(st, a.ID)
	}
}
