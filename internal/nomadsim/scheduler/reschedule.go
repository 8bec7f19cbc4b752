package scheduler

import (
	"time"

	"nomadctld/internal/nomadsim/store"
)

// ClientStatusChanged handles an allocation whose client status changed. A failed allocation is unhealthy in its
// deployment and is rescheduled if its policy permits.
func (sc *Scheduler) ClientStatusChanged(st *store.State, before, now *store.Allocation) {
	if before.ClientStatus == now.ClientStatus || now.DesiredStatus != "run" || now.ClientStatus != "failed" {
		return
	}
	j := st.Job(now.Namespace, now.JobID)
	if j == nil || !now.Scheduled || j.Stop || j.Type == "system" || j.Type == "sysbatch" {
		return
	}
	if d := st.DeploymentByID(now.DeploymentID); d != nil && d.Active() && !now.HasHealth() {
		sc.setAllocHealth(st, now, false)
	}
	if now = st.AllocationByID(now.ID); !now.CanReschedule() {
		return
	}
	index := st.NextIndex(store.TableEvaluations, store.TableAllocations)
	failure := j.NewPendingEvaluation("alloc-failure", index, 0)
	followup := j.NewPendingEvaluation("alloc-reschedule", index, j.JobModifyIndex)
	delay := st.CapDelay(now.Group.RescheduleDelay(j.Type, now.RescheduleCount()))
	followup.WaitUntil, followup.PreviousEval = store.Stamp(time.Now().Add(delay)), failure.ID
	followup.StatusDescription, failure.NextEval = "created for delayed rescheduling", followup.ID
	sc.Enqueue(st, failure)
	st.StoreEvaluation(followup)
	waiting := now.Copy()
	waiting.FollowupEvalID, waiting.PlanIndex = followup.ID, index
	st.StoreAllocations(index, waiting)
	st.AfterDelay(delay, func(st *store.State) {
		a := st.AllocationByID(now.ID)
		if a == nil || a.DesiredStatus != "run" {
			return
		}
		b := a.Copy()
		b.ReplaceNow = true
		st.StoreAllocations(st.NextIndex(store.TableAllocations), b)
		due := *followup
		due.StatusDescription = ""
		sc.processEvaluation(st, &due)
	})
}
