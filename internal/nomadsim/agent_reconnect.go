package nomadsim

import (
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

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
				a.updateTask(t.Name, func(*taskState) {}, jobspec.NewEvent(now, "Reconnected", "Client reconnected", nil))
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
