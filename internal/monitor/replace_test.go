package monitor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// failedJob returns a job with a failed allocation.
func failedJob(index uint64, others ...backends.Allocation) (job backends.JobDetail) {
	job.ID, job.Type, job.ModifyIndex = "web", "service", index
	job.Groups = []backends.Group{{Name: "web", Count: 1}}
	job.Allocations = append([]backends.Allocation{{
		ID: "a1a1a1a1", JobID: "web", Name: "web.web[0]", Group: "web",
		Status: "failed", Desired: "run", Created: time.Unix(1, 0),
	}}, others...)
	return job
}

func TestReplacedStatus(t *testing.T) {
	failed := failedJob(7)
	replacement := func(status string, changes ...func(*backends.Allocation)) backends.JobDetail {
		next := backends.Allocation{
			ID: "b2b2b2b2", JobID: "web", Name: "web.web[0]", Group: "web", Status: status, Desired: "run",
			Created: time.Unix(2, 0),
		}
		for _, change := range changes {
			change(&next)
		}
		return failedJob(7, next)
	}
	unplaced := failedJob(7)
	unplaced.Unplaced = []backends.UnplacedGroup{{Group: "web", Reasons: []string{"no nodes"}}}
	pending := failedJob(7)
	pending.Evaluations = []backends.Evaluation{{ID: "e1", Status: "pending"}}
	const waiting = "0 of 1 allocation running again"
	for name, tc := range map[string]struct {
		now     backends.JobDetail
		message string
		done    bool
		want    string // part of the error
	}{
		"running":           {replacement("running"), "", true, ""},
		"task not started":  {replacement("running", taskState("db", "pending")), waiting, false, ""},
		"pending":           {replacement("pending"), waiting, false, ""},
		"complete":          {replacement("complete"), "", true, ""},
		"complete, stopped": {replacement("complete", desired("stop")), waiting, false, ""},
		"failed too":        {replacement("failed"), "", true, "allocation b2b2b2b2, which replaces a1a1a1a1, has failed"},
		"lost":              {replacement("lost"), "", true, "allocation b2b2b2b2, which replaces a1a1a1a1, is lost"},
		"other index": {
			replacement("running", func(a *backends.Allocation) { a.Name = "web.web[1]" }), waiting,
			false, "did not replace",
		},
		"other group":        {replacement("running", ofGroup("db")), waiting, false, "did not replace"},
		"cannot be placed":   {unplaced, "cannot be placed: web: no nodes", false, ""},
		"evaluation pending": {pending, waiting, false, ""},
		"not replaced": {
			failed, waiting, false,
			"Nomad evaluated web but did not replace: web[0] a1a1a1a1 (see: info web)",
		},
		"changed": {failedJob(8), "", true, "web was changed by somebody else"},
	} {
		t.Run(name, func(t *testing.T) {
			change := backends.WriteResult{EvaluationID: "e1"}
			message, done, err := ReplacedStatus(tc.now, failed, failed.Allocations, change)
			checkStatus(t, message, done, err, tc.message, tc.done, tc.want)
		})
	}
}

func TestWaitUntilReplaced_NothingReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := failedJob(7)
		f := newStates(job)
		start := time.Now()
		_, err := WaitUntilReplaced(t.Context(), f, job, job.Allocations, backends.WriteResult{EvaluationID: "e1"},
			ignore)
		if err == nil || err.Error() != "Nomad evaluated web but did not replace: web[0] a1a1a1a1 (see: info web)" ||
			time.Since(start) < idleGrace {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestWaitUntilReplaced_RunsOrFails(t *testing.T) {
	next := backends.Allocation{
		ID: "b2b2b2b2", JobID: "web", Name: "web.web[0]", Group: "web", Desired: "run",
		Created: time.Unix(2, 0),
	}
	for status, want := range map[string]string{
		"running": "",
		"failed":  "allocation b2b2b2b2, which replaces a1a1a1a1, has failed",
		"lost":    "allocation b2b2b2b2, which replaces a1a1a1a1, is lost",
	} {
		synctest.Test(t, func(t *testing.T) {
			job := failedJob(7)
			f := newFake(func(elapsed time.Duration) (backends.JobDetail, error) {
				a := next
				a.Status = "pending"
				if elapsed > 3*time.Second {
					a.Status = status
				}
				return failedJob(7, a), nil
			})
			back, err := WaitUntilReplaced(t.Context(), f, job, job.Allocations, backends.WriteResult{}, ignore)
			if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) ||
				err == nil && (len(back) != 1 || back[0].ID != next.ID) {
				t.Errorf("%s: got %+v, %v", status, back, err)
			}
		})
	}
	changed := failedJob(8)
	f := newStates(changed)
	if _, err := WaitUntilReplaced(t.Context(), f, failedJob(7), changed.Allocations, backends.WriteResult{},
		ignore); err == nil || !strings.Contains(err.Error(), "was changed by somebody else") {
		t.Errorf("got %v", err)
	}
}

func TestCheckReplaced(t *testing.T) {
	job := failedJob(7)
	if err := checkReplaced(job, ""); err == nil ||
		!strings.Contains(err.Error(), "Nomad does not replace 1 failed allocation: web[0] a1a1a1a1") {
		t.Errorf("got %v", err)
	}
	if err := checkReplaced(job, "db"); err != nil {
		t.Errorf("of another group: got %v", err)
	}
	job.Evaluations = []backends.Evaluation{{Status: "pending"}}
	if err := checkReplaced(job, ""); err != nil {
		t.Errorf("pending evaluation: got %v", err)
	}
	replaced := failedJob(7, backends.Allocation{
		ID: "b2", JobID: "web", Name: "web.web[0]", Group: "web",
		Status: "running", Desired: "run", Created: time.Unix(2, 0),
	})
	if err := checkReplaced(replaced, ""); err != nil {
		t.Errorf("replaced: got %v", err)
	}
	awaited := failedJob(7)
	awaited.Allocations[0].ReschedulePending = true
	if err := checkReplaced(awaited, ""); err != nil {
		t.Errorf("reschedule pending: got %v", err)
	}
}
