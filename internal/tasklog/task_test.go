package tasklog

import (
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

func TestPreviousTask_SameNode(t *testing.T) {
	now := time.Now()
	at := func(id, name, node string, age time.Duration) backends.Allocation {
		return backends.Allocation{
			ID: id, Name: name, NodeID: node, JobType: "system",
			Created: now.Add(-age), Tasks: []backends.Task{{Name: "t"}},
		}
	}
	job := backends.Job{Allocations: []backends.Allocation{
		at("b2", "sys.g[0]", "b", time.Minute), at("a1", "sys.g[0]", "a", 2*time.Minute),
		at("b1", "sys.g[0]", "b", time.Hour),
	}}
	newest := Task{job.Allocations[0], job.Allocations[0].Tasks[0]}
	if before, ok := newest.previousTask(job); !ok || before.ID != "b1" {
		t.Errorf("of a system job: got %s, want b1, on the same node", before.ID)
	}
	for i := range job.Allocations {
		job.Allocations[i].JobType = "service"
	}
	newest.JobType = "service"
	if before, ok := newest.previousTask(job); !ok || before.ID != "a1" {
		t.Errorf("of a service: got %s, want a1", before.ID)
	}
}

func TestExitText(t *testing.T) {
	terminated := func(details map[string]string) []backends.Event {
		return []backends.Event{
			{Type: "Terminated", Details: map[string]string{"exit_code": "9"}},
			{Type: "Terminated", Details: details},
			{Type: "Not Restarting"},
		}
	}
	finished := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		status string
		task   backends.Task
		want   string
	}{
		"exit code": {
			"complete",
			backends.Task{Finished: finished, Events: terminated(map[string]string{"exit_code": "0"})},
			"has finished at 2026-11-27T12:00:00Z with exit code 0",
		},
		"out of memory": {
			"failed",
			backends.Task{Finished: finished, Events: terminated(map[string]string{"exit_code": "137", "oom_killed": "true"})},
			"has finished at 2026-11-27T12:00:00Z with exit code 137 (OOM killed)",
		},
		"hostile exit code": {
			"failed",
			backends.Task{Events: terminated(map[string]string{"exit_code": "\x1b[2J"})},
			"has finished with exit code \\x1b[2J",
		},
		"unknown":      {"complete", backends.Task{}, "has finished"},
		"node is down": {"lost", backends.Task{Finished: finished}, "was lost: its node is down"},
	} {
		task := Task{backends.Allocation{Status: tc.status}, tc.task}
		if got := task.exitText(); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestSelectTasks(t *testing.T) {
	with := func(n byte, status, next string, created int64) Task {
		task := newTask(n, backends.StateRunning)
		task.Status, task.Next, task.Created = status, next, time.Unix(created, 0)
		return task
	}
	for name, tc := range map[string]struct {
		selected Selection
		job      backends.Job
		want     string // the first digits of the allocations, or the error
	}{
		"running":           {job: jobOf("running", with(0, "running", "", 1), with(1, "pending", "", 1)), want: "01"},
		"not complete ones": {job: jobOf("running", with(0, "running", "", 1), with(1, "complete", "", 1)), want: "0"},
		"not replaced ones": {job: jobOf("running", with(0, "failed", "x", 1), with(1, "running", "", 1)), want: "1"},
		"failed":            {job: jobOf("running", with(0, "failed", "", 1)), want: "0"},
		"newest of finished": {
			job:  jobOf("dead", with(1, "complete", "", 2), with(1, "complete", "", 1), with(2, "lost", "", 1)),
			want: "12",
		},
		"group": {Selection{Group: "web"}, jobOf("running", with(0, "running", "", 1)), "0"},
		"other group": {
			Selection{Group: "db"},
			jobOf("running", with(0, "running", "", 1)),
			"web/db has no allocations (see: info web)",
		},
		"task": {Selection{Group: "web", Task: "nginx"}, jobOf("running", with(0, "running", "", 1)), "0"},
		"other task": {
			Selection{Group: "web", Task: "app"},
			jobOf("running", with(0, "running", "", 1)),
			"web/web/app has no allocations (see: info web)",
		},
		"allocation": {
			Selection{Allocation: &backends.Allocation{ID: with(1, "", "", 0).ID}},
			jobOf("running", with(0, "running", "", 1), with(1, "complete", "", 1)), "1",
		},
		"none": {job: jobOf("pending"), want: "web has no allocations (see: info web)"},
		"stopped": {
			job: backends.Job{ID: "web", Status: "dead", Stopped: true}, want: "web has no allocations: the job is stopped",
		},
		"not placed": {
			job: backends.Job{ID: "web", Unplaced: []backends.UnplacedGroup{
				{Group: "db", Count: 1, Reasons: []string{"memory exhausted on 2 nodes"}},
			}},
			want: "web has no allocations: Nomad cannot place db: memory exhausted on 2 nodes (see: info web)",
		},
	} {
		tasks, err := tc.selected.tasks(tc.job)
		got := ""
		for _, task := range tasks {
			got += task.ID[:1]
		}
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestExplainError_NextStep(t *testing.T) {
	task := newTask(0, backends.StateRunning)
	for err, want := range map[error]string{
		backends.ErrNoLog: "log of nginx of web.web[0]: log not found (see: info e0)",
		backends.ErrRunsNotSeparable: "log of nginx of web.web[0]: Nomad's log files do not separate the runs of a task " +
			"(for all runs: logs -n all e0; for the previous allocation: logs --previous-allocation e0)",
		backends.ErrNoTimestamps: "the log of nginx of web.web[0] comes from Nomad's files, which have no timestamps: " +
			"leave out --since and --until",
		backends.ErrUnreachable: "log of nginx of web.web[0]: no response",
	} {
		if got := explainError(err, task); got.Error() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := explainError(nil, task); err != nil {
		t.Errorf("without an error: got %v", err)
	}
}

func TestPrefix_ChildJob(t *testing.T) {
	task := newTask(0, backends.StateRunning)
	task.JobID, task.Name = "web/dispatch-1-a", "web/dispatch-1-a.web[0]"
	for parent, want := range map[string]string{"": "web[0]/nginx | ", "web": "dispatch-1-a/web[0]/nginx | "} {
		if got := task.prefix(render.Style{}, parent); got != want {
			t.Errorf("%q: got %q, want %q", parent, got, want)
		}
	}
}
