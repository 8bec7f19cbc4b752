package backends

import (
	"testing"
	"time"
)

func TestAllocation_TaskState(t *testing.T) {
	for _, tc := range []struct {
		status, task string
		want         string
		runs, mayRun bool
		terminal     bool
	}{
		{"running", "running", "running", true, true, false},
		{"running", "pending", "pending", false, false, false},
		{"running", "dead", "dead", false, false, false},
		{"pending", "pending", "pending", false, false, false},
		{"lost", "running", "dead", false, false, true}, // the state that Nomad stores for a lost task
		{"lost", "pending", "dead", false, false, true},
		{"complete", "running", "dead", false, false, true},
		{"complete", "dead", "dead", false, false, true},
		{"failed", "dead", "dead", false, false, true},
		{"failed", "running", "running", true, true, true}, // a poststop task
		{"unknown", "running", "unknown", false, true, false},
		{"unknown", "pending", "unknown", false, true, false},
		{"unknown", "dead", "dead", false, false, false},
	} {
		a, task := Allocation{Status: tc.status}, Task{State: tc.task}
		if got := a.TaskState(task); got != tc.want || a.Runs(task) != tc.runs || a.MayRun(task) != tc.mayRun ||
			a.TerminalStatus() != tc.terminal {
			t.Errorf("a %s task of a %s allocation: got %s, runs %t, may run %t, terminal %t", tc.task, tc.status, got,
				a.Runs(task), a.MayRun(task), a.TerminalStatus())
		}
	}
}

func TestAllocation_HiddenByDefault(t *testing.T) {
	for status, want := range map[string]bool{
		"running": false, "pending": false, "failed": false, "unknown": false,
		"complete": true, "lost": true,
	} {
		if got := (Allocation{Status: status}).HiddenByDefault(); got != want {
			t.Errorf("%s: got %t, want %t", status, got, want)
		}
	}
}

func TestAllocation_Rank(t *testing.T) {
	running := Task{State: "running"}
	ranked := []Allocation{
		{Status: "running", Desired: "run"},
		{Status: "running", Desired: "stop"},
		{Status: "unknown", Desired: "run"},
	}
	for i, a := range ranked {
		rank, matches := a.Rank(running)
		if !matches {
			t.Errorf("%+v: no selector matches it", a)
		}
		if i > 0 {
			if before, _ := ranked[i-1].Rank(running); before >= rank {
				t.Errorf("%+v ranks %d, not after %d", a, rank, before)
			}
		}
	}
	for _, status := range []string{"lost", "complete", "failed"} {
		if _, matches := (Allocation{Status: status, Desired: "stop"}).Rank(running); matches {
			t.Errorf("a selector matches a %s allocation", status)
		}
	}
	if _, matches := (Allocation{Status: "running", Desired: "run"}).Rank(Task{State: "dead"}); matches {
		t.Error("a selector matches a dead task")
	}
}

func TestAllocation_TaskFinishedAt(t *testing.T) {
	at, changed := time.Unix(1, 0), time.Unix(2, 0)
	for _, tc := range []struct {
		status string
		task   Task
		want   time.Time
	}{
		{"running", Task{State: "running"}, time.Time{}},
		{"unknown", Task{State: "running"}, time.Time{}},
		{"lost", Task{State: "running"}, changed},
		{"complete", Task{State: "dead", Finished: at}, at},
		{"failed", Task{State: "dead"}, changed},
	} {
		if got := (Allocation{Status: tc.status, Modified: changed}).TaskFinishedAt(tc.task); !got.Equal(tc.want) {
			t.Errorf("%s, %s: got %v, want %v", tc.status, tc.task.State, got, tc.want)
		}
	}
}
