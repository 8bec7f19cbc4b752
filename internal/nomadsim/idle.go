package nomadsim

import "slices"

// Idle reports whether a job has reached a stable state: no evaluation is pending (except max-disconnect-timeout), no
// allocation is starting or stopping on a running client, and no deployment is active. It returns false if there is no
// such job.
func (c *Cluster) Idle(namespace, id string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	j := c.job(namespace, id)
	awaited := func(e *evaluation) bool { return e.Status == "pending" && e.TriggeredBy != "max-disconnect-timeout" }
	if j == nil || slices.ContainsFunc(j.evaluations, awaited) || (j.deployment != nil && j.deployment.active()) {
		return false
	}
	for _, a := range j.allocations {
		if a.ClientStatus == "pending" && !c.agentDown(a) ||
			(a.DesiredStatus != "run" && a.ClientStatus == "running" && !c.agentDown(a)) {
			return false
		}
	}
	return true
}
