package jobstate

import (
	"fmt"
	"testing"
	"time"

	"nomadctld/backends"
)

// instance returns an allocation of the group web.
func instance(index int, status, desired string, change func(*backends.Allocation)) backends.Allocation {
	a := backends.Allocation{
		JobID: "web", JobType: "service", Name: fmt.Sprintf("web.web[%d]", index), Group: "web", Status: status,
		Desired: desired, NodeID: "n1",
	}
	if change != nil {
		change(&a)
	}
	return a
}

func TestCount(t *testing.T) {
	canary := func(a *backends.Allocation) { a.Canary = true }
	next := func(a *backends.Allocation) { a.Next = "x" }
	system := func(node string) func(*backends.Allocation) {
		return func(a *backends.Allocation) { a.JobType, a.NodeID = "system", node }
	}
	deploying := &backends.Deployment{Status: "running", Groups: []backends.DeploymentGroup{{Group: "web", Desired: 2}}}
	unplaced := []backends.UnplacedGroup{{Group: "web", Count: 2}}
	type allocations = []backends.Allocation
	for name, tc := range map[string]struct {
		job  backends.Job
		want string
	}{
		"all running": {backends.Job{Allocations: allocations{
			instance(0, "running", "run", nil), instance(1, "running", "run", nil),
		}}, "2/2"},
		"failed, to be replaced": {backends.Job{Allocations: allocations{
			instance(0, "running", "run", nil), instance(1, "failed", "run", nil),
		}}, "1/2"},
		"failed and replaced": {backends.Job{Allocations: allocations{
			instance(0, "failed", "stop", next), instance(0, "running", "run", nil),
		}}, "1/1"},
		"an unknown one and its replacement": {backends.Job{Allocations: allocations{
			instance(0, "unknown", "run", nil), instance(0, "running", "run", nil),
		}}, "1/1"},
		"lost": {backends.Job{Allocations: allocations{instance(0, "lost", "stop", nil)}, Unplaced: unplaced}, "0/2"},
		"canary": {backends.Job{Allocations: allocations{
			instance(0, "running", "run", nil), instance(0, "running", "run", canary),
		}}, "1/1"},
		"never placed": {backends.Job{Unplaced: unplaced}, "0/2"},
		"update that cannot be placed": {backends.Job{Allocations: allocations{
			instance(0, "running", "run", nil), instance(1, "running", "run", nil),
		}, Unplaced: unplaced, LatestDeployment: deploying}, "2/2"},
		"system job on two nodes": {backends.Job{Allocations: allocations{
			instance(0, "running", "run", system("n1")), instance(0, "running", "run", system("n2")),
		}}, "2/2"},
		"finished batch": {backends.Job{Allocations: allocations{
			instance(0, "complete", "run", nil), instance(1, "running", "run", nil),
		}}, "1/1"},
		"nothing": {backends.Job{}, "0/0"},
	} {
		running, wanted := Count(tc.job)
		if got := fmt.Sprintf("%d/%d", running, wanted); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func TestJob_Words(t *testing.T) {
	submitted := time.Unix(1, 0)
	running := []backends.Allocation{instance(0, "running", "run", nil)}
	for name, tc := range map[string]struct {
		job          backends.Job
		word, reason string
		problem      bool
	}{
		"up":      {backends.Job{Type: "service", Status: "running", Allocations: running}, "1/1", "", false},
		"stopped": {backends.Job{Type: "service", Status: "dead", Stopped: true}, "stopped", "", false},
		"stopping": {
			backends.Job{Type: "service", Stopped: true, Allocations: running}, "stopping", "", false,
		},
		"count 0":  {backends.Job{Type: "service", Status: "dead"}, "count 0", "", false},
		"periodic": {backends.Job{Type: "batch", Periodic: true, Status: "running"}, "periodic", "see: batch", false},
		"complete": {backends.Job{Type: "batch", Status: "dead"}, "complete", "", false},
		"failed batch": {
			backends.Job{Type: "batch", Status: "dead", Counts: backends.Counts{Failed: 1}}, "failed", "", true,
		},
		"dispatched": {
			backends.Job{Type: "batch", Parent: "p", Parameterized: true, Status: "dead"}, "complete", "", false,
		},
		"not evaluated": {backends.Job{Type: "service", Status: "pending"}, "pending", "", false},
		"never placed": {backends.Job{Type: "service", Status: "pending", Unplaced: []backends.UnplacedGroup{
			{Group: "web", Count: 1, Reasons: []string{"no nodes are ready"}},
		}}, "0/1", "never placed: no nodes are ready", true},
		"one is not placed": {backends.Job{Type: "service", Allocations: running, Unplaced: []backends.UnplacedGroup{
			{Group: "web", Count: 1, Reasons: []string{"memory exhausted on 1 node"}},
		}}, "1/2", "web not placed: memory exhausted on 1 node", true},
		"deployment failed": {backends.Job{Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "failed", Description: "Failed due to progress deadline",
		}}, "1/1", "deployment failed: progress deadline", true},
		"deployment successful": {backends.Job{Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "successful",
		}}, "1/1", "", false},
		"deploying": {backends.Job{Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "running", Groups: []backends.DeploymentGroup{{Group: "web", Desired: 1}},
		}}, "1/1", "deploying: 0 of 1 healthy", false},
		"deploying a version": {backends.Job{Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "running", Version: 1, Groups: []backends.DeploymentGroup{{Group: "web", Desired: 3, Healthy: 2}},
		}}, "1/3", "deploying version 1: 2 of 3 healthy", false},
		"paused": {backends.Job{ID: "j", Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "paused", Version: 1, Groups: []backends.DeploymentGroup{{Group: "web", Desired: 3, Healthy: 2}},
		}}, "1/3", "deployment of version 1 paused: 2 of 3 healthy (see: resume j)", true},
		"canary": {backends.Job{ID: "j", Type: "service", Allocations: running, LatestDeployment: &backends.Deployment{
			Status: "running", Description: "Deployment is running but requires manual promotion",
			Groups: []backends.DeploymentGroup{{Group: "web", Desired: 1, Canaries: 1, Healthy: 1}},
		}}, "1/1", "needs promotion: canaries healthy (see: promote j)", true},
	} {
		tc.job.Submitted = submitted
		got := Job(tc.job)
		reason := ""
		for _, r := range got.Reasons {
			reason += r
		}
		if got.Word != tc.word || reason != tc.reason || got.Problem != tc.problem {
			t.Errorf("%s: got %q, %q, %v, want %q, %q, %v",
				name, got.Word, reason, got.Problem, tc.word, tc.reason, tc.problem)
		}
	}
}

func TestTask_Words(t *testing.T) {
	now := time.Unix(100000, 0)
	event := func(secondsAgo int, kind, message string, details ...string) backends.Event {
		e := backends.Event{Time: now.Add(-time.Duration(secondsAgo) * time.Second), Type: kind, Message: message}
		for i := 0; i < len(details); i += 2 {
			if e.Details == nil {
				e.Details = map[string]string{}
			}
			e.Details[details[i]] = details[i+1]
		}
		return e
	}
	oom := func(ago int) backends.Event {
		return event(ago, "Terminated", "", "oom_killed", "true", "exit_code", "137")
	}
	no := false
	type events = []backends.Event
	for name, tc := range map[string]struct {
		a            backends.Allocation
		t            backends.Task
		checks       []backends.Check
		want, reason string
		problem      bool
	}{
		"running": {backends.Allocation{Status: "running"}, backends.Task{State: "running"}, nil, "running", "", false},
		"failing check": {
			backends.Allocation{Status: "running"},
			backends.Task{State: "running"},
			[]backends.Check{{Name: "ready", Status: "failure"}, {Name: "alive", Status: "success"}},
			"running", "unhealthy: ready failing", true,
		},
		"unhealthy": {
			backends.Allocation{Status: "running", Healthy: &no},
			backends.Task{State: "running", Events: events{event(9, "Alloc Unhealthy", "Task not running by deadline")}},
			nil, "running", "unhealthy: missed its deadline", true,
		},
		"OOM long ago": {
			backends.Allocation{Status: "running"},
			backends.Task{State: "running", Restarts: 3, Events: events{oom(99000), oom(90000), oom(80000)}},
			nil, "running", "OOM-killed x3, 22h ago", false,
		},
		"crash loop, running for a moment": {
			backends.Allocation{Status: "running"},
			backends.Task{State: "running", Restarts: 139, Events: events{event(5, "Terminated", "Exit Code: 2")}},
			nil, "running", "exit 2 x139, 5s ago", true,
		},
		"crash loop, waiting": {
			backends.Allocation{Status: "pending"},
			backends.Task{State: "pending", Events: events{
				event(2, "Terminated", "", "exit_code", "1"), event(2, "Restarting", "", "start_delay", "18000000000"),
			}},
			nil, "restarting", "exit 1, restarts in 16s", true,
		},
		"restart by a user": {
			backends.Allocation{Status: "running"},
			backends.Task{State: "running", Restarts: 1, Events: events{
				event(9, "Restart Signaled", ""), event(8, "Terminated", "", "exit_code", "143"), event(8, "Restarting", ""),
			}},
			nil, "running", "", false,
		},
		"finished prestart task": {
			backends.Allocation{Status: "running"},
			backends.Task{State: "dead", Finished: now.Add(-time.Minute), Events: events{
				event(60, "Terminated", "", "exit_code", "0"),
			}},
			nil, "complete", "1m ago", false,
		},
		"poststop task": {
			backends.Allocation{Status: "running", Tasks: []backends.Task{{Name: "app", State: "running"}}},
			backends.Task{Name: "clean", State: "pending"},
			nil, "waiting", "for the other tasks", false,
		},
		"failed prestart task": {
			backends.Allocation{Status: "failed", RescheduleAt: now.Add(30 * time.Second)},
			backends.Task{State: "dead", Failed: true, Events: events{event(9, "Terminated", "", "exit_code", "3")}},
			nil, "failed", "exit 3, replacement in 30s", true,
		},
		"sibling": {
			backends.Allocation{Status: "failed"},
			backends.Task{State: "dead", Failed: true, Events: events{
				event(9, "Sibling Task Failed", `Task's sibling "migrate" failed`),
			}},
			nil, "failed", "task migrate failed, gave up", true,
		},
		"missing variable": {
			backends.Allocation{Status: "pending"},
			backends.Task{State: "pending", Events: events{event(9, "Template", "Missing: nomad.var.block(a@b.c)")}},
			nil, "pending", "template waits for Nomad variable a in namespace b", true,
		},
		"template error": {
			backends.Allocation{Status: "failed"},
			backends.Task{State: "dead", Failed: true, Events: events{
				event(9, "Killing", `Template failed: (dynamic): parse: template: :1: function "x" not defined`),
			}},
			nil, "failed", `template: line 1: function "x" not defined, gave up`, true,
		},
		"missing image": {
			backends.Allocation{Status: "failed", Next: "n"},
			backends.Task{State: "dead", Failed: true, Events: events{
				event(9, "Driver Failure", "Failed to pull `x:1`: Error response from daemon: "+
					"Get \"https://x/v2/\": dial tcp: lookup x on 10.0.0.1:53: no such host"),
			}},
			nil, "failed", "Failed to pull `x:1`: lookup x: no such host, replaced", false,
		},
		"stopped": {
			backends.Allocation{Status: "complete", Desired: "stop"},
			backends.Task{State: "dead", Events: events{event(9, "Terminated", "", "exit_code", "143")}},
			nil, "stopped", "", false,
		},
		"lost": {backends.Allocation{Status: "lost"}, backends.Task{State: "running"}, nil, "lost", "node down", false},
		"unknown": {
			backends.Allocation{Status: "unknown"},
			backends.Task{State: "running"},
			nil,
			"unknown", "node disconnected; may still be running", true,
		},
	} {
		if tc.t.Name == "" {
			tc.t.Name = "app"
		}
		got := Task(tc.a, tc.t, tc.checks, now)
		if got.Word != tc.want || got.Reason() != tc.reason || got.Problem != tc.problem {
			t.Errorf("%s: got %q, %q, %v, want %q, %q, %v",
				name, got.Word, got.Reason(), got.Problem, tc.want, tc.reason, tc.problem)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "0s", 16 * time.Second: "16s", 3*time.Minute + 50*time.Second: "3m", 26 * time.Hour: "1d",
		14 * 24 * time.Hour: "2w", 3 * 365 * 24 * time.Hour: "3y",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestState_Clause(t *testing.T) {
	for want, s := range map[string]State{
		"is restarting: exit 2, restarts in 12s": {Word: "restarting", Reasons: []string{"exit 2", "restarts in 12s"}},
		"has failed: exit 1, gave up":            {Word: "failed", Reasons: []string{"exit 1", "gave up"}},
		"is complete":                            {Word: "complete"},
	} {
		if got := s.Clause(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMissingText(t *testing.T) {
	for message, want := range map[string]string{
		"Missing: nomad.var.block(nomad/jobs/web@default.global)": "Nomad variable nomad/jobs/web",
		"Missing: nomad.var.get(a@b@other.global)":                "Nomad variable a@b in namespace other",
		"Missing: nomad.var.block(a)":                             "Nomad variable a",
		"Missing: vault.read(secret/data/web), kv.block(web/mode), health.service(db|passing), and 2 more": "Vault secret " +
			"secret/data/web, Consul key web/mode, Consul service db, and 2 more",
		"Missing: nomad.service(db)":  "Nomad service db",
		"Missing: vault.list(secret)": "vault.list(secret)",
		"something else":              "something else",
	} {
		if got := missingText(message, "default"); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}
