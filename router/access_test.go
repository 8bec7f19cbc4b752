package router

import (
	"context"
	"slices"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
)

// TestAccess_OnlyWhatSpecAsksFor lists what is not nil for each kind of command.
func TestAccess_OnlyWhatSpecAsksFor(t *testing.T) {
	for name, tc := range map[string]struct {
		spec Spec
		want []string
	}{
		"nothing":    {Spec{Target: TargetNone, RightSet: Public}, nil},
		"completion": {Spec{Target: TargetNone, RightSet: Public, CompletesCommands: true}, []string{"ClusterFor"}},
		"read":       {Spec{Target: TargetScope, RightSet: Read}, []string{"Cluster"}},
		"job":        {Spec{Target: TargetJob, RightSet: Read, Args: "JOB"}, []string{"Cluster"}},
		"task":       {Spec{Target: TargetTask, RightSet: Enter, Args: "ID"}, []string{"Cluster", "Runtime"}},
		"operate":    {Spec{Target: TargetJob, RightSet: Operate, Args: "JOB"}, []string{"Cluster", "Writer", "Operations"}},
		"admin":      {Spec{Target: TargetScope, RightSet: Admin}, []string{"Cluster", "Writer", "Operations", "Raw"}},
	} {
		w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
		web := job("production", "default", "p-team1-web")
		web.Allocations[0].Tasks = []backends.Task{{Name: "app", State: "running", ExecID: "0123456789"}}
		w.production.jobs, w.Runtimes, w.Raw = []backends.Job{web}, &RuntimeSelector{}, &Raw{}
		line := "act"
		switch tc.spec.Target {
		case TargetJob:
			line += " p-team1-web"
		case TargetTask:
			line += " 0123456789"
		}
		tc.spec.Name = "act"
		before := commandTable
		commandTable = map[string]func() Command{}
		var got []string
		Register(func() Command {
			return probe{tc.spec, func(_ context.Context, req *Request) error {
				a := req.Access
				for _, field := range []struct {
					name string
					set  bool
				}{
					{"Cluster", a.Cluster != nil},
					{"Writer", a.Writer != nil},
					{"Operations", a.Operations != nil},
					{"Raw", a.Raw != nil},
					{"Runtime", a.Runtime != nil},
					{"ClusterFor", a.ClusterFor != nil},
				} {
					if field.set {
						got = append(got, field.name)
					}
				}
				return nil
			}}
		})
		if err := w.run(line); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got access to %q, want %q", name, got, tc.want)
		}
		commandTable = before
	}
}

// TestRuntimeOf_OtherJob checks that a command reaches only tasks of its target and of the target's child jobs.
func TestRuntimeOf_OtherJob(t *testing.T) {
	w := newTestGateway()
	web, other := job("production", "default", "p-team1-web"), job("production", "default", "p-team1-api")
	child, foreign := web.Allocations[0], web.Allocations[0]
	child.JobID, child.Root = "p-team1-web/dispatch-1-a", "p-team1-web"
	foreign.JobID, foreign.Root = "p-team2-web", "p-team1-web" // its root cannot be right
	elsewhere := child
	elsewhere.Namespace = "other"
	w.production.jobs, w.Runtimes = []backends.Job{web, other}, &RuntimeSelector{}
	register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, func(ctx context.Context, req *Request) error {
		for name, tc := range map[string]struct {
			allocation backends.Allocation
			reachable  bool
		}{
			"another job": {other.Allocations[0], false}, "the target": {web.Allocations[0], true},
			"a child job": {child, true}, "another team's job": {foreign, false}, "another namespace": {elsewhere, false},
		} {
			bound := req.Access.RuntimeOf(tc.allocation, "app").(*boundRuntime)
			if (bound.task.Allocation.ID != "") != tc.reachable {
				t.Errorf("%s: got allocation %q", name, bound.task.Allocation.ID)
			}
			if _, err := bound.Exec(ctx, backends.Program{}); !tc.reachable && err != errNotOwned {
				t.Errorf("%s: got %v, want %v", name, err, errNotOwned)
			}
		}
		return nil
	})
	if err := w.run("probe p-team1-web"); err != nil {
		t.Error(err)
	}
}

func TestLogOf_NeedsRight(t *testing.T) {
	for right, want := range map[string]bool{"ps": false, "logs": true} {
		t.Run(right, func(t *testing.T) {
			w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe", right}})
			web, other := job("production", "default", "p-team1-web"), job("production", "default", "p-team1-api")
			w.production.jobs, w.Runtimes = []backends.Job{web, other}, &RuntimeSelector{}
			register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, func(_ context.Context, req *Request) error {
				if got := req.Access.LogOf(web.Allocations[0], "app") != nil; got != want {
					t.Errorf("may read the log: got %t, want %t", got, want)
				}
				if req.Access.LogOf(other.Allocations[0], "app") != nil {
					t.Error("got the log of another job")
				}
				return nil
			})
			if err := w.run("probe p-team1-web"); err != nil {
				t.Error(err)
			}
		})
	}
}
