package monitor

import (
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

func TestMissingAllocations_OnlyIfIdle(t *testing.T) {
	running := allocation("2", "running")
	for name, tc := range map[string]struct {
		change func(*backends.JobDetail)
		group  string
		want   int
	}{
		"one is missing":   {func(*backends.JobDetail) {}, "", 1},
		"of another group": {func(*backends.JobDetail) {}, "db", 0},
		"none is missing":  {func(j *backends.JobDetail) { j.Groups[0].Count = 2 }, "", 0},
		"an evaluation is pending": {func(j *backends.JobDetail) {
			j.Evaluations = []backends.Evaluation{{Status: "pending"}}
		}, "", 0},
		"one cannot be placed": {
			func(j *backends.JobDetail) { j.Unplaced = []backends.UnplacedGroup{{Group: "web"}} },
			"", 0,
		},
		"a system job":                  {func(j *backends.JobDetail) { j.Type = "system" }, "", 0},
		"one is on a disconnected node": {func(j *backends.JobDetail) { j.Allocations[1].Status = "unknown" }, "", 0},
		"another is lost":               {func(j *backends.JobDetail) { j.Allocations[1].Status = "lost" }, "", 2},
		"one of a batch job is complete": {func(j *backends.JobDetail) {
			j.Type, j.Allocations[1].Status, j.Allocations[1].Desired = "batch", "complete", "stop"
		}, "", 1},
	} {
		job := serviceJob(3, allocation("1", "failed"), running) // the failed allocation counts too
		tc.change(&job)
		if got := MissingAllocations(job, tc.group); got["web"] != tc.want || tc.want == 0 && len(got) > 0 {
			t.Errorf("%s: got %v, want %d", name, got, tc.want)
		}
	}
}

func TestPlacedStatus(t *testing.T) {
	before := serviceJob(2, allocation("1", "running"))
	for name, tc := range map[string]struct {
		now     backends.JobDetail
		prepare func(*backends.JobDetail)
		message string
		done    bool
		want    string // part of the error
	}{
		"placed": {now: serviceJob(2, allocation("1", "running"), allocation("2", "running")), done: true},
		"pending": {
			now:     serviceJob(2, allocation("1", "running"), allocation("2", "pending")),
			message: "1 of 2 allocations running",
		},
		"not yet evaluated": {
			now: before,
			prepare: func(j *backends.JobDetail) {
				j.Evaluations = []backends.Evaluation{{ID: "e1", Status: "pending"}}
			},
			message: "1 of 2 allocations running",
		},
		"nothing placed": {
			now: before, message: "1 of 2 allocations running",
			want: "Nomad evaluated web but placed nothing: 1 of 2 allocations running (see: info web)",
		},
		"cannot be placed": {
			now: before,
			prepare: func(j *backends.JobDetail) {
				j.Unplaced = []backends.UnplacedGroup{{Group: "web", Reasons: []string{"no nodes"}}}
			},
			done: true, want: "cannot be placed: web: no nodes",
		},
		"failed": {
			now:  serviceJob(2, allocation("1", "running"), allocation("2", "failed")),
			done: true, want: "allocation 2-0000 of web has failed",
		},
		"changed": {
			now:     before,
			prepare: func(j *backends.JobDetail) { j.ModifyIndex = 8 },
			done:    true, want: "web was changed by somebody else",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.prepare != nil {
				tc.prepare(&tc.now)
			}
			message, done, err := PlacedStatus(tc.now, before, backends.WriteResult{EvaluationID: "e1"})
			checkStatus(t, message, done, err, tc.message, tc.done, tc.want)
		})
	}
}

func TestWaitUntilPlaced_NothingPlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := serviceJob(2, allocation("1", "running"))
		start := time.Now()
		err := WaitUntilPlaced(t.Context(), newStates(job), job, backends.WriteResult{}, ignore)
		if err == nil || time.Since(start) != idleGrace+pollInterval {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}
