package commands

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/router"
)

// interruptedCluster calls a function during Jobs and during Usage, for example to simulate Ctrl-C.
type interruptedCluster struct {
	backends.Cluster
	jobs, usage func()
}

func (i interruptedCluster) Jobs(context.Context, backends.Selection) ([]backends.Job, error) {
	i.jobs()
	return []backends.Job{{ID: "a", Allocations: []backends.Allocation{{Tasks: []backends.Task{{
		Name:  "t",
		State: "running",
	}}}}}}, nil
}

func (i interruptedCluster) Usage(context.Context, []backends.Allocation) map[string]backends.Usage {
	i.usage()
	return nil
}

func TestPs_InterruptedPrintsNothing(t *testing.T) {
	for _, during := range []string{"jobs", "usage"} {
		ctx, cancel := context.WithCancel(context.Background())
		cluster := interruptedCluster{jobs: func() {}, usage: func() {}}
		if during == "jobs" {
			cluster.jobs = cancel
		} else {
			cluster.usage = cancel
		}
		var stdout bytes.Buffer
		if err := new(ps).Run(ctx, &router.Request{
			Access:  router.Access{Cluster: cluster},
			Console: &console.Console{Stdout: &stdout},
		}); err == nil || stdout.Len() > 0 {
			t.Errorf("during %s: got %v and %q, want an error and no table", during, err, stdout.String())
		}
	}
}

func TestPsJSON_StateOfUnnamedTask(t *testing.T) {
	for status, want := range map[string]string{
		"pending": "pending", "running": "pending", "failed": "dead",
		"lost": "dead",
	} {
		out := psJSON([]backends.Job{{Allocations: []backends.Allocation{{Status: status}}}}, nil)
		if got := out.Jobs[0].Tasks[0].State; got != want {
			t.Errorf("%s: got %s, want %s", status, got, want)
		}
	}
}

// deadlineCluster records the timeout of the request for statistics.
type deadlineCluster struct {
	interruptedCluster
	timeout *time.Duration
}

func (b deadlineCluster) Usage(ctx context.Context, _ []backends.Allocation) map[string]backends.Usage {
	deadline, _ := ctx.Deadline()
	*b.timeout = time.Until(deadline)
	return nil
}

func TestPs_StatsTimeout(t *testing.T) {
	var wait time.Duration
	cluster := deadlineCluster{interruptedCluster{jobs: func() {}}, &wait}
	if err := new(ps).Run(context.Background(), &router.Request{
		Access:  router.Access{Cluster: cluster},
		Console: &console.Console{Stdout: io.Discard},
	}); err != nil {
		t.Fatal(err)
	}
	if wait <= 0 || wait > 2*time.Second {
		t.Errorf("the timeout is %v, want at most 2s", wait)
	}
}

// manyCluster has more allocations than ps reads the service checks of.
type manyCluster struct{ backends.Cluster }

func (manyCluster) Jobs(context.Context, backends.Selection) ([]backends.Job, error) {
	job := backends.Job{ID: "web", Type: "service"}
	for range maxCheckedAllocations + 3 {
		job.Allocations = append(job.Allocations, backends.Allocation{JobID: "web", Name: "web.g[0]", Status: "running"})
	}
	return []backends.Job{job}, nil
}

func (manyCluster) Usage(context.Context, []backends.Allocation) map[string]backends.Usage {
	return nil
}

func (manyCluster) Checks(context.Context, []backends.Allocation) map[string][]backends.Check {
	return nil
}

func TestPs_ReportsUncheckedAllocations(t *testing.T) {
	const note = "the service checks of 3 allocations were not read; to read them, select fewer jobs with a FILTER\n"
	for name, tc := range map[string]struct {
		ps       ps
		terminal *console.Terminal
		onStderr bool
		want     string
	}{
		"terminal":      {ps{}, console.NewTerminal("xterm", 120, 24), false, note},
		"JSON":          {ps{json: true}, console.NewTerminal("xterm", 120, 24), true, note},
		"pipe":          {ps{}, nil, true, ""}, // reads no checks
		"problems":      {ps{problems: true}, nil, true, note},
		"no statistics": {ps{noStats: true}, console.NewTerminal("xterm", 120, 24), false, ""},
	} {
		var stdout, stderr bytes.Buffer
		err := tc.ps.Run(t.Context(), &router.Request{
			Access:  router.Access{Cluster: manyCluster{}},
			Console: &console.Console{Stdout: &stdout, Stderr: &stderr, Terminal: tc.terminal},
		})
		got := stdout.String()
		if tc.onStderr {
			got = stderr.String()
		}
		if err != nil || !strings.HasSuffix(got, tc.want) || strings.Contains(got, "service checks") != (tc.want != "") {
			t.Errorf("%s: got %v and %q, want %q at the end", name, err, got[max(len(got)-200, 0):], tc.want)
		}
	}
}

// TestPs_PipeMarksUnhealthyTasks checks that a task has the letter U once if it is unhealthy.
func TestPs_PipeMarksUnhealthyTasks(t *testing.T) {
	no := false
	failing := map[string][]backends.Check{"a": {{Name: "ready", Status: "failure"}}}
	unhealthy := []backends.Event{{Type: "Alloc Unhealthy"}}
	for name, test := range map[string]struct {
		healthy *bool
		events  []backends.Event
		checks  map[string][]backends.Check
		want    string
	}{
		"failing check":      {nil, nil, failing, "U"},
		"unhealthy":          {&no, nil, nil, "U"},
		"unhealthy by event": {&no, unhealthy, failing, "U"},
		"healthy":            {nil, nil, nil, ""},
	} {
		a := backends.Allocation{ID: "a", Status: "running", Healthy: test.healthy, Tasks: []backends.Task{
			{Name: "app", State: "running", Events: test.events},
		}}
		view := newPsView([]backends.Job{{ID: "web", Allocations: []backends.Allocation{a}}}, nil, test.checks, time.Now())
		if got := strings.Join(view.jobs[0].tasks[0].letters(), ","); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
