package nomadsim

import (
	"cmp"
	"time"
)

// rescheduleTracker records the reschedules that led to an allocation.
type rescheduleTracker struct {
	Events         []rescheduleEvent
	LastReschedule string
}

type rescheduleEvent struct {
	RescheduleTime          int64
	PrevAllocID, PrevNodeID string
	Delay                   time.Duration
}

// descUpdating is Nomad's description of an allocation that is replaced by a later job version.
const descUpdating = "alloc is being updated due to job update"

// previousWithDefaults returns the description of the previous allocation, with defaults for an allocation that was
// replaced.
func (a Allocation) previousWithDefaults() Allocation {
	p := *a.Previous
	p.DesiredStatus = cmp.Or(p.DesiredStatus, "stop")
	if p.VersionsBehind == a.VersionsBehind {
		p.ClientStatus = cmp.Or(p.ClientStatus, "failed")
	} else {
		p.ClientStatus = cmp.Or(p.ClientStatus, "complete")
		p.DesiredDescription = cmp.Or(p.DesiredDescription, descUpdating)
	}
	return p
}

// replacementTime returns the time at which a failed allocation is replaced.
func (a *allocation) replacementTime() time.Time {
	return time.Unix(0, a.ModifyTime).Add(a.group.delay(a.Job.Type, a.rescheduleCount()))
}

// rescheduleCount returns how often the allocation was rescheduled.
func (a *allocation) rescheduleCount() int {
	if a.RescheduleTracker == nil {
		return 0
	}
	return len(a.RescheduleTracker.Events)
}

// linkReplacement links an allocation to its replacement. If both have the same job version, the previous one has
// failed, and linkReplacement adds the evaluations of the rescheduling.
func (c *Cluster) linkReplacement(previous, next *allocation) {
	previous.NextAllocation, next.PreviousAllocation = next.ID, previous.ID
	if previous.Job != next.Job {
		return
	}
	t := &rescheduleTracker{LastReschedule: "ok"}
	if previous.RescheduleTracker != nil {
		t.Events = append(t.Events, previous.RescheduleTracker.Events...)
	}
	t.Events = append(t.Events, rescheduleEvent{
		RescheduleTime: next.CreateTime, PrevAllocID: previous.ID, PrevNodeID: previous.NodeID,
		Delay: previous.group.delay(previous.Job.Type, len(t.Events)),
	})
	next.RescheduleTracker = t
	failed := c.nextIndex(tableEvaluations)
	next.CreateIndex = c.nextIndex(tableAllocations, tableEvaluations)
	if previous.DeploymentStatus != nil {
		again := true
		previous.DesiredTransition.Reschedule = &again
	}
	previous.FollowupEvalID = previous.Job.reschedule(previous, next, failed)
	next.EvalID = previous.FollowupEvalID
}

// reschedule adds the two evaluations of a rescheduling and returns the ID of the second.
func (j *job) reschedule(previous, next *allocation, failedIndex uint64) string {
	failure := j.newEvaluation("alloc-failure", "", previous.ModifyTime, failedIndex, "failure", previous.ID)
	followup := j.newEvaluation("alloc-reschedule", "", previous.ModifyTime, failedIndex, "reschedule", previous.ID)
	followup.ModifyIndex, followup.ModifyTime = next.CreateIndex, next.CreateTime
	followup.JobModifyIndex = j.JobModifyIndex
	followup.WaitUntil = stamp(previous.replacementTime())
	failure.NextEval, followup.PreviousEval = followup.ID, failure.ID
	j.evaluations = append(j.evaluations, failure, followup)
	return followup.ID
}
