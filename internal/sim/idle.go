package sim

import "slices"

// Idle reports whether nothing more comes of the orders for a job by itself: no evaluation is pending, no allocation
// waits for its client, no deployment is active and no task is about to restart. There is no such job: false.
func (c *Cluster) Idle(namespace, id string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	j := c.job(namespace, id)
	awaited := func(e *evaluation) bool { return e.Status == "pending" && e.TriggeredBy != "max-disconnect-timeout" }
	if j == nil || slices.ContainsFunc(j.evaluations, awaited) || (j.deployment != nil && j.deployment.active()) {
		return false
	}
	for _, a := range j.allocations {
		if a.ClientStatus == "pending" && !c.agentDown(a) || (a.DesiredStatus != "run" && a.ClientStatus == "running" && !c.agentDown(a)) {
			return false
		}
	}
	return true
}
