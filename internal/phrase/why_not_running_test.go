package phrase

import (
	"testing"
	"time"

	"nomadctld/backends"
)

func TestWhyNotRunning(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	event := func(ago time.Duration, kind, message string, details ...string) backends.Event {
		e := backends.Event{Time: now.Add(-ago), Type: kind, Message: message, Details: map[string]string{}}
		for i := 0; i < len(details); i += 2 {
			e.Details[details[i]] = details[i+1]
		}
		return e
	}
	exited := event(4*time.Second, "Terminated", "Exit Code: 2", "exit_code", "2", "signal", "0")
	failed := backends.Allocation{Status: "failed"}
	rescheduled := backends.Allocation{Status: "failed", ReschedulePending: true}
	notRestarting := event(3*time.Second, "Not Restarting", "Exceeded allowed attempts")
	for _, tc := range []struct {
		allocation backends.Allocation
		events     []backends.Event
		want       string
	}{
		{backends.Allocation{Status: "pending"}, nil, ""},
		{backends.Allocation{Status: "pending"}, []backends.Event{event(time.Second, "Received", "")}, ""},
		{backends.Allocation{Status: "lost"}, nil, "is lost, because its node is down"},
		{backends.Allocation{}, []backends.Event{exited}, "exited 4s ago with code 2"},
		{
			backends.Allocation{},
			[]backends.Event{exited, event(4*time.Second, "Restarting", "", "start_delay", "16000000000")},
			"exited 4s ago with code 2, and Nomad restarts it in 12s",
		},
		{
			backends.Allocation{},
			[]backends.Event{exited, event(4*time.Second, "Restarting", "", "start_delay", "0")},
			"exited 4s ago with code 2, and Nomad is restarting it",
		},
		{failed, []backends.Event{exited, notRestarting}, "exited 4s ago with code 2, and Nomad does not restart it"},
		{
			rescheduled,
			[]backends.Event{exited, notRestarting},
			"exited 4s ago with code 2, and Nomad will replace the allocation",
		},
		{
			failed,
			[]backends.Event{event(3*time.Hour, "Terminated", "", "exit_code", "137", "oom_killed", "true")},
			"was OOM-killed 3h ago",
		},
		{
			failed,
			[]backends.Event{event(26*time.Hour, "Terminated", "", "exit_code", "0", "signal", "9")},
			"was killed 1d ago by signal 9",
		},
		{
			failed,
			[]backends.Event{event(2*time.Minute, "Driver Failure", "Failed to pull\n  `nosuch:1`")},
			"failed to start 2m ago: Failed to pull `nosuch:1`",
		},
		{
			backends.Allocation{Status: "pending"},
			[]backends.Event{event(time.Minute, "Template", "Missing: nomad.var.block(x)")},
			"waits for its templates: Missing: nomad.var.block(x)",
		},
	} {
		if got := WhyNotRunning(tc.allocation, backends.Task{Events: tc.events}, now); got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.events, got, tc.want)
		}
	}
}
