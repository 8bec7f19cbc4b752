package backendtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nomadctld/backends"
)

func testAllocations(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-alloc", "a")
	job := f.waitForDeployment(t, "p-team4-alloc", "successful")
	a := runningAllocations(job)[0]

	if err := f.SignalTask(ctx, a, "web", "SIGHUP"); err != nil {
		t.Errorf("signal: %v", err)
	}
	had := func(event string) bool {
		for _, now := range f.job(t, job.ID).Allocations {
			for _, e := range now.Tasks[0].Events {
				if now.ID == a.ID && e.Type == event {
					return true
				}
			}
		}
		return false
	}
	eventually(t, "the task has the signal event", func() bool { return had("Signaling") })
	wantRejected(t, "signal an unknown task", f.SignalTask(ctx, a, "nope", "SIGHUP"), "Task not found")
	if err := f.SignalTask(ctx, a, "web", "SIGNOPE"); err == nil || errors.Is(err, backends.ErrOutcomeUnknown) {
		t.Errorf("an unknown signal: got %v, want a rejection: Nomad would send SIGINT", err)
	}

	if err := f.RestartTask(ctx, a, "web"); err != nil {
		t.Errorf("restart: %v", err)
	}
	eventually(t, "the task runs again", func() bool {
		now := f.job(t, job.ID).Allocations[0]
		return now.ID == a.ID && now.Tasks[0].State == "running" && now.Tasks[0].Started.After(a.Tasks[0].Started)
	})
	if !had("Restart Signaled") {
		t.Error("no restart event")
	}
	if err := f.RestartTask(ctx, a, ""); err != nil {
		t.Errorf("restart all tasks: %v", err)
	}
	wantRejected(t, "restart an unknown task", f.RestartTask(ctx, a, "nope"), "Could not find task runner for task: nope")

	result, err := f.StopAllocation(ctx, a)
	if err != nil || result.EvaluationID == "" {
		t.Errorf("stop: got %+v, %v", result, err)
	}
	eventually(t, "the allocation is replaced", func() bool {
		now := runningAllocations(f.job(t, job.ID))
		return len(now) == 1 && now[0].ID != a.ID
	})
	if now := f.job(t, job.ID); now.ModifyIndex != job.ModifyIndex {
		t.Errorf("got the index %d, want %d: the job has not changed", now.ModifyIndex, job.ModifyIndex)
	}

	f.Completed(t, "p-team4-ended")
	var dead backends.Allocation
	eventually(t, "the job is complete", func() bool {
		all := f.job(t, "p-team4-ended").Allocations
		if len(all) == 1 {
			dead = all[0]
		}
		return dead.Status == "complete"
	})
	var rejection *backends.RejectedError
	if err := f.RestartTask(ctx, dead, "run"); !errors.As(err, &rejection) {
		t.Errorf("restart in a dead allocation: got %v, want a rejection", err)
	}
	if err := f.SignalTask(ctx, dead, "run", "SIGHUP"); !errors.As(err, &rejection) ||
		!strings.Contains(err.Error(), "not running") {
		t.Errorf("signal in a dead allocation: got %v, want a rejection because the task is not running", err)
	}
	missing := a
	missing.ID = "00000000-0000-0000-0000-000000000000"
	_, err = f.StopAllocation(ctx, missing)
	wantNotFound(t, "stop a missing allocation", err)
	wantNotFound(t, "restart in a missing allocation", f.RestartTask(ctx, missing, "web"))
	wantNotFound(t, "signal in a missing allocation", f.SignalTask(ctx, missing, "web", "SIGHUP"))
}
