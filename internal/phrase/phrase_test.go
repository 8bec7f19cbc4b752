package phrase

import (
	"errors"
	"fmt"
	"testing"

	"nomadctld/backends"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 lines", 1: "1 line", 2: "2 lines"} {
		if got := Count(n, "line"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAllocation_SystemJob(t *testing.T) {
	a := backends.Allocation{
		ID: "12345678-0000", JobID: "web", Name: "web.api[2]", Group: "api", Node: "n1",
		JobType: "service",
	}
	b := a
	b.JobType, b.ID = "system", "abc"
	if got := Allocations([]backends.Allocation{a, b}); got != "api[2] 12345678, api on n1 abc" {
		t.Errorf("got %q", got)
	}
	if got := Replacements([]backends.Allocation{a, b}, []backends.Allocation{b}); got != "api[2] 12345678 -> abc" {
		t.Errorf("replacements: got %q", got)
	}
}

func TestFailedOrStopped(t *testing.T) {
	failed, stopped := backends.Allocation{Status: "failed"}, backends.Allocation{Status: "complete"}
	for want, all := range map[string][]backends.Allocation{
		"1 failed allocation":             {failed},
		"2 stopped allocations":           {stopped, stopped},
		"2 failed or stopped allocations": {stopped, failed},
	} {
		if got := FailedOrStopped(all); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNotRunningState(t *testing.T) {
	for _, tc := range []struct{ allocation, task, want, clause string }{
		{"running", "running", "", ""},
		{"running", "pending", "pending", "is pending"},
		{"running", "dead", "dead", "is dead"},
		{"failed", "dead", "failed", "has failed (see: info e1)"},
		{"lost", "running", "lost", "is lost"},
		{"complete", "dead", "complete", "is complete"},
		{"unknown", "running", "unknown", "is unknown"},
	} {
		got := NotRunningState(backends.Allocation{Status: tc.allocation}, backends.Task{State: tc.task})
		if got != tc.want || got != "" && StateClause(got, "e1") != tc.clause {
			t.Errorf("%s, %s: got %q, %q, want %q, %q", tc.allocation, tc.task, got, StateClause(got, "e1"), tc.want, tc.clause)
		}
	}
}

func TestJobError_NextStep(t *testing.T) {
	changed := &backends.ChangedError{Job: "web", Version: 4}
	other := errors.New("no leader")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"changed": {
			changed,
			"web was changed by somebody else and is now at version 4; nothing was done (see: history web)",
		},
		"changed, of a tier": {
			&backends.TierError{Tier: "production", Err: changed},
			"tier production: web was changed by somebody else and is now at version 4; nothing was done (see: history web)",
		},
		"changed, maybe applied": {
			fmt.Errorf("outcome unknown: %w", changed),
			"outcome unknown: web was changed by somebody else and is now at version 4",
		},
		"not found": {
			&backends.TierError{Tier: "production", Err: backends.ErrNotFound},
			"job web: not found in Nomad",
		},
		"being deployed": {
			&backends.RejectedError{Reason: "job has an active deployment"},
			"Nomad rejected the request: job has an active deployment; wait until the deployment finishes, or fail it " +
				"(see: deployment web; fail it: fail web)",
		},
		"rejected": {&backends.RejectedError{Reason: "no"}, "Nomad rejected the request: no"},
		"other":    {other, "no leader"},
	} {
		err := JobError(backends.Job{ID: "web"}, tc.err)
		if err.Error() != tc.want {
			t.Errorf("%s: got %q, want %q", name, err, tc.want)
		}
	}
}

func TestAfterStop(t *testing.T) {
	for _, tc := range []struct{ kind, next, want string }{
		{"service", "", "Nomad replaces it"},
		{"batch", "12345678-0000", "Nomad replaces it with 12345678"},
		{
			"system", "",
			"Nomad does not replace allocations of a system job until the job or the node changes (bring it back: start web)",
		},
		{"sysbatch", "", "Nomad does not replace allocations of a sysbatch job until the job or the node changes"},
	} {
		if got := AfterStop(backends.Job{ID: "web", Type: tc.kind}, tc.next); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.kind, got, tc.want)
		}
	}
}

func TestUnplaced(t *testing.T) {
	got := Unplaced([]backends.UnplacedGroup{
		{Group: "db", Reasons: []string{"no nodes"}}, {Group: "web", Reasons: []string{"a", "b"}},
	})
	if got != "db: no nodes; web: a, b" {
		t.Errorf("got %q", got)
	}
}
