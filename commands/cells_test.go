package commands

import (
	"slices"
	"strings"
	"testing"

	"nomadctld/backends"
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
		{
			"finished prestart task", "running", []backends.Event{
				{Type: "Terminated", Details: map[string]string{"exit_code": "0"}},
			}, []string{"complete"},
		},
		{"stopped by a user", "running", []backends.Event{event("Killing", "Sent interrupt")}, []string{}},
	} {
		task := backends.Task{Events: tc.events}
		if strings.HasPrefix(tc.name, "finished") {
			task.State = backends.StateDead
		}
		got := extraLetters(backends.Allocation{Status: tc.status}, task)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
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
