package scheduler

import (
	"slices"

	"nomadctld/internal/nomadsim/store"
)

// Idle reports whether a job has reached a stable state: no evaluation is pending (except max-disconnect-timeout), no
// allocation is starting or stopping on a running client, and no deployment is active. It returns false if there is no
// such job.
func Idle(st *store.State, namespace, id string) bool {
	j := st.Job(namespace, id)
	awaited := func(e *store.Evaluation) bool {
		return e.Status == "pending" && e.TriggeredBy != "max-disconnect-timeout"
	}
	if j == nil || slices.ContainsFunc(j.Evaluations, awaited) || (j.Deployment != nil && j.Deployment.Active()) {
		return false
	}
	for _, a := range j.Allocations {
		if a.ClientStatus == "pending" && !st.AgentDown(a) ||
			(a.DesiredStatus != "run" && a.ClientStatus == "running" && !st.AgentDown(a)) {
			return false
		}
	}
	return true
}

// ClientInSync reports whether the client of a node is running and has reported all of its allocations.
func ClientInSync(st *store.State, name string) bool {
	n := st.NodeNamed(name)
	return n != nil && n.Status == "ready" && !n.AgentDown &&
		!slices.ContainsFunc(st.Allocations, func(a *store.Allocation) bool {
			stopping := a.DesiredStatus != "run" && (a.ClientStatus == "lost" || a.ClientStatus == "running")
			return a.NodeID == n.ID && (stopping || a.ClientStatus == "unknown" || a.ClientStatus == "pending")
		})
}
