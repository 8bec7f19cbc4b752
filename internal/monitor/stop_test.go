package monitor

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

func TestStoppedStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		job     backends.JobDetail
		group   string
		index   uint64
		message string
		done    bool
		want    string // part of the error
	}{
		"stopped":      {serviceJob(2, allocation("1", "complete")), "", 7, "", true, ""},
		"one running":  {serviceJob(2, allocation("1", "running")), "", 7, "1 of 2 allocations stopped", false, ""},
		"one pending":  {serviceJob(2, allocation("1", "pending")), "", 7, "1 of 2 allocations stopped", false, ""},
		"other group":  {serviceJob(2, allocation("1", "running", ofGroup("db"))), "web", 7, "", true, ""},
		"disconnected": {serviceJob(2, allocation("1", "unknown")), "", 7, "", true, ""},
		"changed":      {serviceJob(2, allocation("1", "running")), "", 6, "", true, "web is at version 3 now"},
		"index not returned": {
			serviceJob(2, allocation("1", "running")),
			"", 0, "1 of 2 allocations stopped", false, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			message, done, err := StoppedStatus(tc.job, tc.group, backends.WriteResult{ModifyIndex: tc.index}, 2)
			checkStatus(t, message, done, err, tc.message, tc.done, tc.want)
		})
	}
}

func TestWaitUntilStopped_TotalGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var messages progressLog
		a, b, c := allocation("1", "running"), allocation("2", "running"), allocation("3", "pending")
		cluster := newStates(serviceJob(0, a, b), serviceJob(0, a, b, c), serviceJob(0, c), serviceJob(0))
		err := WaitUntilStopped(t.Context(), cluster, web, "", backends.WriteResult{}, messages.add)
		want := []string{"0 of 2 allocations stopped", "0 of 3 allocations stopped", "2 of 3 allocations stopped"}
		if err != nil || !slices.Equal(messages, want) {
			t.Errorf("got %v, %q, want %q", err, messages, want)
		}
	})
}

func TestWaitUntilStopped_JobPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newFake(func(elapsed time.Duration) (backends.JobDetail, error) {
			if elapsed > time.Minute {
				return backends.JobDetail{}, backends.ErrNotFound
			}
			return serviceJob(0, allocation("1", "running")), nil
		})
		if err := WaitUntilStopped(t.Context(), cluster, web, "", backends.WriteResult{}, ignore); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestAllocationStoppedStatus(t *testing.T) {
	for status, tc := range map[string]struct {
		done bool
		want string // part of the error
	}{
		"running": {}, "pending": {}, "complete": {done: true}, "failed": {done: true},
		"unknown": {true, "its node n1 is disconnected from Nomad, and the allocation may still be running there"},
		"lost":    {true, "its node n1 is down, and the allocation may still be running there"},
	} {
		job := serviceJob(1, allocation("2", "running"), allocation("1", status))
		message, done, err := AllocationStoppedStatus(job, "1-0000")
		checkStatus(t, message, done, err, "", tc.done, tc.want)
	}
	message, done, err := AllocationStoppedStatus(serviceJob(1), "1-0000")
	checkStatus(t, message, done, err, "", true, "") // Nomad has garbage-collected it
}

func TestWaitUntilAllocationStopped_Replacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replaced := allocation("1", "complete", func(a *backends.Allocation) { a.Next = "2-0000" })
		cluster := newStates(serviceJob(1, allocation("1", "running")), serviceJob(1, replaced, allocation("2", "pending")))
		next, err := WaitUntilAllocationStopped(t.Context(), cluster, web, "1-0000", ignore)
		if next != "2-0000" || err != nil {
			t.Errorf("got %q, %v", next, err)
		}
	})
}

func TestStoppedText(t *testing.T) {
	before := serviceJob(3, allocation("1", "running"), allocation("2", "pending"), allocation("3", "running",
		ofGroup("db")))
	unknown := serviceJob(3, allocation("1", "unknown"), allocation("2", "complete"))
	allUnknown := serviceJob(3, allocation("1", "unknown"), allocation("2", "unknown"))
	for name, tc := range map[string]struct {
		before, now backends.JobDetail
		group, want string
	}{
		"job":     {before, serviceJob(3), "", ": 3 allocations"},
		"group":   {before, serviceJob(3), "db", ": 1 allocation"},
		"nothing": {serviceJob(0), serviceJob(0), "", ""},
		"one unknown": {
			before, unknown, "web",
			": 1 allocation; 1 allocation on a disconnected node may still be running",
		},
		"all unknown":    {before, allUnknown, "web", ": 2 allocations on disconnected nodes may still be running"},
		"unknown before": {unknown, unknown, "", ": 1 allocation on a disconnected node may still be running"},
	} {
		if got := StoppedText(tc.before, tc.now, tc.group); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
