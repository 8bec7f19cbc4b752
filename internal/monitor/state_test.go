package monitor

import (
	"testing"
	"time"

	"nomadctld/backends"
)

func ids(allocations []backends.Allocation) (all string) {
	for _, a := range allocations {
		all += a.ID[:1]
	}
	return all
}

func TestActiveAllocations(t *testing.T) {
	job := serviceJob(1, allocation("1", "running"), allocation("2", "pending"), allocation("3", "unknown"),
		allocation("4", "complete"), allocation("5", "failed"), allocation("6", "running", ofGroup("db")))
	if got := ids(ActiveAllocations(job, "")); got != "126" {
		t.Errorf("of the job: got %s", got)
	}
	if got := ids(ActiveAllocations(job, "db")); got != "6" {
		t.Errorf("of the group db: got %s", got)
	}
}

func TestIsNewest(t *testing.T) {
	old, next := allocation("1", "failed"), allocation("1a", "running", createdAfter(time.Minute))
	for name, tc := range map[string]struct {
		other func(*backends.Allocation)
		want  bool
	}{
		"replaced":      {func(*backends.Allocation) {}, false},
		"another index": {func(a *backends.Allocation) { a.Name = "web.web[7]" }, true},
		"another group": {ofGroup("db"), true},
		"older":         {createdAfter(0), true},
	} {
		other := next
		tc.other(&other)
		if got := IsNewest(serviceJob(1, old, other), old); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	old.Next = "gone"
	if IsNewest(serviceJob(1, old), old) {
		t.Error("an allocation with a Next is not the newest")
	}
}

func TestFailedAllocations(t *testing.T) {
	all := func(backends.Allocation) bool { return true }
	for name, tc := range map[string]struct {
		prepare                 func(*backends.JobDetail)
		isSelected              func(backends.Allocation) bool
		failed, unreschedulable string
	}{
		"can be rescheduled": {nil, all, "1", ""},
		"no attempts left":   {func(j *backends.JobDetail) { j.Groups[0].Reschedule.Unlimited = false }, all, "", "1"},
		"not selected":       {nil, func(a backends.Allocation) bool { return a.ID == "2-0000" }, "", ""},
		"to be stopped":      {func(j *backends.JobDetail) { j.Allocations[0].Desired = "stop" }, all, "", ""},
		"replaced":           {func(j *backends.JobDetail) { j.Allocations[0].Next = "9" }, all, "", ""},
		"group removed":      {func(j *backends.JobDetail) { j.Groups = nil }, all, "", ""},
		"of a system job": {
			func(j *backends.JobDetail) {
				j.Type = "system"
				j.Groups[0].Reschedule.Unlimited = false
				for i := range j.Allocations {
					j.Allocations[i].JobType, j.Allocations[i].NodeID = "system", j.Allocations[i].ID
				}
			},
			all, "13", "",
		},
	} {
		job := serviceJob(3, allocation("1", "failed"), allocation("2", "running"),
			allocation("3", "complete", desired("stop")))
		if tc.prepare != nil {
			tc.prepare(&job)
		}
		failed, unreschedulable := FailedAllocations(job, tc.isSelected)
		if ids(failed) != tc.failed || ids(unreschedulable) != tc.unreschedulable {
			t.Errorf("%s: got %q, %q", name, ids(failed), ids(unreschedulable))
		}
	}
}

func TestIsIdle(t *testing.T) {
	for name, tc := range map[string]struct {
		job     backends.JobDetail
		prepare func(*backends.JobDetail)
		want    bool
	}{
		"running":            {serviceJob(1, allocation("1", "running")), nil, true},
		"failed":             {serviceJob(1, allocation("1", "failed")), nil, true},
		"pending allocation": {serviceJob(1, allocation("1", "pending")), nil, false},
		"disconnected":       {serviceJob(1, allocation("1", "unknown")), nil, false},
		"stopping":           {serviceJob(1, allocation("1", "running", desired("stop"))), nil, false},
		"task not started":   {serviceJob(1, allocation("1", "running", taskState("db", "pending"))), nil, false},
		"to be rescheduled": {
			serviceJob(1, allocation("1", "failed", func(a *backends.Allocation) { a.ReschedulePending = true })),
			nil, false,
		},
		"rescheduled": {
			serviceJob(1, allocation("1", "failed", func(a *backends.Allocation) {
				a.ReschedulePending, a.Next = true, "2"
			})), nil, true,
		},
		"evaluation blocked": {serviceJob(1), func(j *backends.JobDetail) {
			j.Evaluations = []backends.Evaluation{{Status: "complete"}, {Status: "blocked"}}
		}, false},
		"not placed": {serviceJob(1), func(j *backends.JobDetail) {
			j.Unplaced = []backends.UnplacedGroup{{Group: "web"}}
		}, false},
	} {
		if tc.prepare != nil {
			tc.prepare(&tc.job)
		}
		if got := isIdle(tc.job); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
