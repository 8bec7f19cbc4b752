package commands

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

// jobWithAllStates returns a job with an allocation in each state as Nomad reports it: the task of a lost allocation
// still has the state running.
func jobWithAllStates() backends.Job {
	now := time.Now()
	started, changed := now.Add(-3*time.Hour), now.Add(-time.Hour)
	one := func(n, status, desired string, t backends.Task) backends.Allocation {
		t.Name, t.ExecID, t.Started = "t", strings.Repeat(n, 10), started
		return backends.Allocation{
			ID: strings.Repeat(n, 8) + "-0000", JobID: "p-web", Group: "g", Node: "node-" + n, Status: status, Desired: desired,
			Created: started, Modified: changed, Tasks: []backends.Task{t},
		}
	}
	return backends.Job{
		Tier: "production", Namespace: "default", ID: "p-web", Type: "service", Status: "running",
		Allocations: []backends.Allocation{
			one("1", "running", "run", backends.Task{State: "running"}),
			one("2", "lost", "stop", backends.Task{State: "running"}),
			one("3", "unknown", "run", backends.Task{State: "running"}),
			one("4", "complete", "stop", backends.Task{State: "dead", Finished: changed}),
			one("5", "failed", "run", backends.Task{State: "dead", Failed: true, Finished: changed}),
		},
	}
}

func TestPsTable_States(t *testing.T) {
	var got bytes.Buffer
	newPsView([]backends.Job{jobWithAllStates()}, nil, nil, time.Now()).table().Write(&got)
	want := `Exec ID    |Job/Task |Node   |Uptime               |CPU |Mem(max) |Extra
           |p-web    |       |                     |    |         |1/1; 2 problems
1111111111 |t        |node-1 |3 hours ago          |-   |-        |
2222222222 |t        |node-2 |ended 1 hour ago     |0   |0 B(0 B) |lost
3333333333 |t        |node-3 |last seen 1 hour ago |-   |-        |unknown
4444444444 |t        |node-4 |ended 1 hour ago     |0   |0 B(0 B) |complete
5555555555 |t        |node-5 |ended 1 hour ago     |0   |0 B(0 B) |F
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestPsJSON_States(t *testing.T) {
	out := psJSON([]backends.Job{jobWithAllStates()}, nil)
	for i, want := range []struct {
		state string
		flags []string
		ended bool
	}{
		{"running", nil, false},
		{"dead", []string{"lost"}, true},
		{"unknown", []string{"unknown"}, false},
		{"dead", []string{"complete"}, true},
		{"dead", []string{"F"}, true},
	} {
		task := out.Jobs[0].Tasks[i]
		if task.State != want.state || !slices.Equal(task.Flags, want.flags) || (task.Ended != nil) != want.ended ||
			task.Started == nil {
			t.Errorf("%s: got %+v, want %+v", task.Status, task, want)
		}
		if task.Ended != nil && !task.Since.Equal(*task.Ended) {
			t.Errorf("%s: the age counts from %v, the task ended %v", task.Status, task.Since, *task.Ended)
		}
	}
}

func TestPstree_States(t *testing.T) {
	var got bytes.Buffer
	job := jobWithAllStates()
	job.Allocations = append(job.Allocations, backends.Allocation{
		ID: "66666666-0000", JobID: "p-web", Group: "g",
		Status: "pending", Modified: time.Now().Add(-time.Minute),
	})
	jobTree([]backends.Job{job}, nil, time.Now()).Write(&got, render.Style{})
	want := `.
└── p-web
    └── g
        ├── [1111111111]  t (3 hours ago) -
        ├── [2222222222]  t (ended 1 hour ago) - lost
        ├── [3333333333]  t (last seen 1 hour ago) - unknown: node disconnected; may still be running
        ├── [4444444444]  t (ended 1 hour ago) - complete
        ├── [5555555555]  t (ended 1 hour ago) - failed: gave up
        └── allocation 66666666 (1 minute ago) pending
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestInfo_States(t *testing.T) {
	view := infoView{job: backends.JobDetail{Job: jobWithAllStates()}, isJob: true}
	view.now = time.Now()
	view.selectAllocations(false)
	got := view.text(render.Style{})
	for _, want := range []string{
		"3333333333 |unknown ", "|Disconnected |", "|1h ago: the node has lost", "the tasks may still be running",
		"1111111111 |running ", "5555555555 |failed ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwithout %q", got, want)
		}
	}
	if strings.Contains(got, "2222222222") || strings.Contains(got, "4444444444") {
		t.Errorf("got a lost or complete allocation:\n%s", got)
	}
	var states []string
	for _, a := range view.json().Allocations {
		states = append(states, a.Status+" "+a.Tasks[0].State)
	}
	if want := []string{"running running", "unknown unknown", "failed dead"}; !slices.Equal(states, want) {
		t.Errorf("JSON: got %q, want %q", states, want)
	}
}

func TestStatus_ShowsUnknown(t *testing.T) {
	job := backends.JobDetail{Job: jobWithAllStates()}
	got := statusView{job: job, now: time.Now()}.text()
	for _, state := range []string{"running", "lost", "unknown", "complete", "failed"} {
		if !strings.Contains(got, " "+state+" ") {
			t.Errorf("no %s allocation in\n%s", state, got)
		}
	}
}

func TestChildState_DisconnectedNode(t *testing.T) {
	allocation := func(status string) backends.Allocation { return backends.Allocation{Status: status} }
	for _, tc := range []struct {
		status string
		all    []backends.Allocation
		want   string
	}{
		{"running", []backends.Allocation{allocation("unknown")}, "unknown"},
		{"running", []backends.Allocation{allocation("unknown"), allocation("failed")}, "unknown"},
		{"running", []backends.Allocation{allocation("unknown"), allocation("running")}, "running"},
		{"running", []backends.Allocation{allocation("running")}, "running"},
		{"running", nil, "running"},
		{"dead", nil, "complete"},
	} {
		if got := childState(&backends.Job{Status: tc.status, Allocations: tc.all}); got != tc.want {
			t.Errorf("%s with %+v: got %s, want %s", tc.status, tc.all, got, tc.want)
		}
	}
}
