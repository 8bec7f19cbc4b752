package nomadsim

import "time"

// clientStatusChanged handles an allocation whose client status changed. A failed allocation is unhealthy in its
// deployment and is rescheduled if its policy permits.
func (sc *scheduler) clientStatusChanged(st *state, before, now *allocation) {
	if before.ClientStatus == now.ClientStatus || now.DesiredStatus != "run" || now.ClientStatus != "failed" {
		return
	}
	j := st.job(now.Namespace, now.JobID)
	if j == nil || !now.scheduled || j.Stop || j.Type == "system" || j.Type == "sysbatch" {
		return
	}
	if d := st.deploymentByID(now.DeploymentID); d != nil && d.active() && !now.hasHealth() {
		sc.setAllocHealth(st, now, false)
	}
	if now = st.allocationByID(now.ID); !now.canReschedule() {
		return
	}
	index := st.nextIndex(tableEvaluations, tableAllocations)
	failure := j.newPendingEvaluation("alloc-failure", index, 0)
	followup := j.newPendingEvaluation("alloc-reschedule", index, j.JobModifyIndex)
	delay := st.capDelay(now.group.RescheduleDelay(j.Type, now.rescheduleCount()))
	followup.WaitUntil, followup.PreviousEval = stamp(time.Now().Add(delay)), failure.ID
	followup.StatusDescription, failure.NextEval = "created for delayed rescheduling", followup.ID
	sc.enqueue(st, failure)
	st.storeEvaluation(followup)
	waiting := now.copy()
	waiting.FollowupEvalID, waiting.planIndex = followup.ID, index
	st.storeAllocations(index, waiting)
	st.afterDelay(delay, func(st *state) {
		a := st.allocationByID(now.ID)
		if a == nil || a.DesiredStatus != "run" {
			return
		}
		b := a.copy()
		b.replaceNow = true
		st.storeAllocations(st.nextIndex(tableAllocations), b)
		due := *followup
		due.StatusDescription = ""
		sc.processEvaluation(st, &due)
	})
}
