package store

import (
	"time"
)

// RescheduleTracker records the reschedules that led to an allocation.
type RescheduleTracker struct {
	Events         []rescheduleEvent
	LastReschedule string
}

type rescheduleEvent struct {
	RescheduleTime          int64
	PrevAllocID, PrevNodeID string
	Delay                   time.Duration
}

// replacementTime returns the time at which a failed allocation is replaced.
func (a *Allocation) replacementTime() time.Time {
	return time.Unix(0, a.ModifyTime).Add(a.Group.RescheduleDelay(a.Job.Type, a.RescheduleCount()))
}

// RescheduleCount returns how often the allocation was rescheduled.
func (a *Allocation) RescheduleCount() int {
	if a.RescheduleTracker == nil {
		return 0
	}
	return len(a.RescheduleTracker.Events)
}

// linkReplacement links an allocation to its replacement. If both have the same job version, the previous one has
// failed, and linkReplacement adds the evaluations of the rescheduling.
func (st *State) linkReplacement(previous, next *Allocation) {
	previous.NextAllocation, next.PreviousAllocation = next.ID, previous.ID
	if previous.Job != next.Job {
		return
	}
	next.RescheduleTracker = previous.NextTracker(next)
	failed := st.NextIndex(TableEvaluations)
	next.CreateIndex = st.NextIndex(TableAllocations, TableEvaluations)
	if previous.DeploymentStatus != nil {
		again := true
		previous.DesiredTransition.Reschedule = &again
	}
	previous.FollowupEvalID = previous.Job.reschedule(previous, next, failed)
	next.EvalID = previous.FollowupEvalID
}

// reschedule adds the two evaluations of a rescheduling and returns the ID of the second.
func (j *Job) reschedule(previous, next *Allocation, failedIndex uint64) string {
	failure := j.newEvaluation("alloc-failure", "", previous.ModifyTime, failedIndex, "failure", previous.ID)
	followup := j.newEvaluation("alloc-reschedule", "", previous.ModifyTime, failedIndex, "reschedule", previous.ID)
	followup.ModifyIndex, followup.ModifyTime = next.CreateIndex, next.CreateTime
	followup.JobModifyIndex = j.JobModifyIndex
	followup.WaitUntil = Stamp(previous.replacementTime())
	failure.NextEval, followup.PreviousEval = followup.ID, failure.ID
	j.Evaluations = append(j.Evaluations, failure, followup)
	return followup.ID
}

// NextTracker returns the reschedule tracker of an allocation's replacement.
func (a *Allocation) NextTracker(next *Allocation) *RescheduleTracker {
	t := &RescheduleTracker{LastReschedule: "ok"}
	if a.RescheduleTracker != nil {
		t.Events = append(t.Events, a.RescheduleTracker.Events...)
	}
	t.Events = append(t.Events, rescheduleEvent{
		RescheduleTime: next.CreateTime, PrevAllocID: a.ID, PrevNodeID: a.NodeID,
		Delay: a.Group.RescheduleDelay(a.Job.Type, len(t.Events)),
	})
	return t
}
