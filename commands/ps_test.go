package commands

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/router"
)

func TestTaskFlags_OrderOfEvents(t *testing.T) {
	event := func(kind, message string) backends.Event { return backends.Event{Type: kind, Message: message} }
	oom := backends.Event{Type: "Terminated", Message: "Exit Code: 137", Details: map[string]string{"oom_killed": "true"}}
	for _, tc := range []struct {
		name   string
		status string
		events []backends.Event
		want   []string
	}{
		{"nothing", "running", []backends.Event{event("Received", ""), event("Started", "")}, []string{}},
		{"the original README's helloworld2", "failed", []backends.Event{
			event("Received", ""), event("Task Setup", ""), event("Killing", "vault: server error deriving vault token"),
			event("Alloc Unhealthy", ""),
		}, []string{"F", "KV", "U"}},
		{"the original README's iss-cluster1", "running", []backends.Event{
			event("Terminated", `Exit Code: 137, Exit Message: "OOM Killed"`), event("Restarting", ""), oom,
			event("Started", ""), oom,
		}, []string{"O", "O", "O"}},
		{
			"the original README's lamp", "running",
			[]backends.Event{event("Alloc Unhealthy", ""), event("Terminated", "Exit Code: 1")},
			[]string{"U", "T"},
		},
		{
			"not restarting", "failed",
			[]backends.Event{event("Terminated", ""), event("Not Restarting", "")},
			[]string{"F", "T", "NR"},
		},
		{"pending", "pending", nil, []string{"P"}},
		{"stopped by a user", "running", []backends.Event{event("Killing", "Sent interrupt")}, []string{}},
	} {
		got := taskFlags(backends.Allocation{Status: tc.status}, backends.Task{Events: tc.events})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestJobFilter(t *testing.T) {
	for _, tc := range []struct {
		filter, id string
		want       bool
	}{
		{"web", "p-team1-web", true},
		{"", "p-team1-web", true},
		{"WEB", "p-team1-web", false},
		{"p-*-web", "p-team1-web", true},
		{"p-*", "p-team1-web", true},
		{"*", "p-sync/periodic-1", true},
		{"p-*1", "p-sync/periodic-1", true},
		{"p-sync/periodic-?", "p-sync/periodic-1", true},
		{"team*", "p-team1-web", false},
		{"p-?", "p-web", false},
		{"[*", "[a", true},
		{"[a-z]*", "b", false},
		{`\*`, `\b`, true},
		{"?", "ü", true},
	} {
		if got := jobFilter([]string{tc.filter})(backends.Job{ID: tc.id}); got != tc.want {
			t.Errorf("filter %q on %q: got %v, want %v", tc.filter, tc.id, got, tc.want)
		}
	}
	if !jobFilter(nil)(backends.Job{ID: "x"}) {
		t.Error("without a filter: got false, want true")
	}
}

func TestUsageText_NotMeasured(t *testing.T) {
	cpu, memory := 2.9, uint64(34<<20)
	usage := map[string]backends.Usage{"all": {CPU: &cpu, Memory: &memory, MemoryMax: &memory}, "some": {Memory: &memory}}
	for _, tc := range []struct {
		id, state   string
		cpu, memory string
	}{
		{"all", "running", "2", "34 MiB(34 MiB)"},
		{"some", "running", "-", "34 MiB(-)"},
		{"none", "running", "-", "-"},
		{"none", "dead", "0", "0 B(0 B)"},
	} {
		if cpu, memory := usageText(backends.Allocation{Status: "running"}, backends.Task{ExecID: tc.id, State: tc.state},
			usage); cpu != tc.cpu || memory != tc.memory {
			t.Errorf("%s %s: got %s and %s, want %s and %s", tc.state, tc.id, cpu, memory, tc.cpu, tc.memory)
		}
	}
}

func TestQualifiers_SameJobID(t *testing.T) {
	got := qualifiers([]backends.Job{
		{ID: "a", Tier: "t1", Namespace: "default"},
		{ID: "a", Tier: "t2", Namespace: "default"},
		{ID: "b", Tier: "t1", Namespace: "default"},
		{ID: "b", Tier: "t1", Namespace: "other"},
	})
	want := [][]string{{"tier t1"}, {"tier t2"}, nil, {"namespace other"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, want %q", got, want)
	}
}

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
