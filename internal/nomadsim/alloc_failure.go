package nomadsim

import "time"

// clientStatusChanged handles an allocation whose client status changed. A failed allocation is unhealthy in its
// deployment and is rescheduled if its policy permits.
func (c *Cluster) clientStatusChanged(before, now *allocation) {
	if before.ClientStatus == now.ClientStatus || now.DesiredStatus != "run" || now.ClientStatus != "failed" {
		return
	}
	delete(c.exitCodes, now.ID)
	j := c.job(now.Namespace, now.JobID)
	if j == nil || !now.scheduled || j.Stop || j.Type == "system" || j.Type == "sysbatch" {
		return
	}
	if d := c.deploymentByID(now.DeploymentID); d != nil && d.active() && !now.hasHealth() {
		c.setAllocHealth(now, false)
	}
	if now = c.allocationByID[now.ID]; !now.canReschedule() {
		return
	}
	index := c.nextIndex(tableEvaluations, tableAllocations)
	failure := j.newPendingEvaluation("alloc-failure", index, 0)
	followup := j.newPendingEvaluation("alloc-reschedule", index, j.JobModifyIndex)
	delay := c.capDelay(now.group.RescheduleDelay(j.Type, now.rescheduleCount()))
	followup.WaitUntil, followup.PreviousEval = stamp(time.Now().Add(delay)), failure.ID
	followup.StatusDescription, failure.NextEval = "created for delayed rescheduling", followup.ID
	c.enqueue(failure)
	c.storeEvaluation(followup)
	waiting := now.copy()
	waiting.FollowupEvalID, waiting.planIndex = followup.ID, index
	c.storeAllocations(index, waiting)
	c.afterDelay(delay, func() {
		a := c.allocationByID[now.ID]
		if a == nil || a.DesiredStatus != "run" {
			return
		}
		b := a.copy()
		b.replaceNow = true
		c.storeAllocations(c.nextIndex(tableAllocations), b)
		due := *followup
		due.StatusDescription = ""
		c.processEvaluation(&due)
	})
}
