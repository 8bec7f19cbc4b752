package router

import (
	"context"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

func TestResolve_Any(t *testing.T) {
	web, pair := map[string]string{"web": "running"}, map[string]string{"app": "running", "proxy": "running"}
	with := func(j, other backends.Job) backends.Job {
		j.Allocations = append(j.Allocations, other.Allocations...)
		return j
	}
	w := newTestGateway()
	w.production.jobs = []backends.Job{
		with(ownedJob("production", "default", "p-team1-web", "aaaa1111-0000", web),
			ownedJob("production", "default", "p-team1-web", "aaaa2222-0000", web)),
		with(ownedJob("production", "default", "p-team1-pair", "bbbb1111-0000", pair),
			ownedJob("production", "default", "p-team1-pair", "bbbb2222-0000", pair)),
		ownedJob("production", "default", "p-team1-twice", "cccc1111-0000", web),
		ownedJob("production", "other", "p-team1-twice", "cccc2222-0000", web),
		ownedJob("production", "default", "p-team2-shop", "dddd1111-0000", web),
	}
	for line, want := range map[string]string{
		"p-team1-web": "p-team1-web is ambiguous (2 matches); name one of them, " +
			"or use probe --any p-team1-web:",
		"--any p-team1-web":   "aaaa1111-0000 web",
		"--any p-team1-web/g": "aaaa1111-0000 web",
		"--any aaaa2222":      "aaaa2222-0000 web",
		"--any aaaa":          "aaaa1111-0000 web",
		"p-team1-pair":        "p-team1-pair is ambiguous (4 matches); name one of them:",
		"--any p-team1-pair": "p-team1-pair is ambiguous (4 matches); they are different tasks, so --any " +
			"cannot pick one; name JOB/GROUP/TASK:",
		"--any p-team1-pair/g/proxy": "bbbb1111-0000 proxy",
		"--any p-team1-twice":        "p-team1-twice is ambiguous (2 matches); choose with --namespace and --tier:",
		"--any p-team2-shop":         "no task p-team2-shop (see: ps)",
	} {
		got := ""
		spec := Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask, PicksInstance: true}
		register(t, spec, func(_ context.Context, req *Request) error {
			got = req.Target.Allocation.ID + " " + req.Target.Task.Name
			return nil
		})
		err := w.run("probe " + line)
		delete(commandTable, "probe")
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), "\n")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestResolve_WhyNotRunning(t *testing.T) {
	exited := func(ago time.Duration, code string) []backends.Event {
		return []backends.Event{{
			Time: time.Now().Add(-ago), Type: "Terminated", Details: map[string]string{"exit_code": code},
		}}
	}
	crashing := ownedJob("production", "default", "p-team1-crash", "aaaa1111-0000",
		map[string]string{"init": "dead", "app": "pending", "proxy": "pending"})
	tasks := crashing.Allocations[0].Tasks // app, init, proxy
	tasks[0].Events, tasks[1].Events, tasks[2].Events = exited(130*time.Second, "2"), exited(time.Second, "0"),
		exited(10*time.Minute, "3")
	tasks[0].Events = append(tasks[0].Events, backends.Event{
		Time: time.Now().Add(-time.Second), Type: "Restarting", Details: map[string]string{"start_delay": "0"},
	})
	unplaced := job("production", "default", "p-team1-unplaced")
	unplaced.Allocations = nil
	unplaced.Unplaced = []backends.UnplacedGroup{{Group: "web", Reasons: []string{"memory exhausted on 1 node"}}}
	stopped := ownedJob("production", "default", "p-team1-stopped", "bbbb1111-0000", map[string]string{"app": "dead"})
	stopped.Stopped = true
	w := newTestGateway()
	w.production.jobs = []backends.Job{crashing, unplaced, stopped}
	for selector, want := range map[string]string{
		"p-team1-crash": "no task of p-team1-crash is running: g[0]/app is restarting: exit 2, restarts now " +
			"(see: info p-team1-crash)",
		"p-team1-crash/g/proxy": "no task of p-team1-crash/g/proxy is running: g[0]/proxy is pending: exit 3 " +
			"(see: info p-team1-crash)",
		"p-team1-crash/g/init": "no task of p-team1-crash/g/init is running (see: ps --all p-team1-crash)",
		"p-team1-unplaced": "no task of p-team1-unplaced is running: Nomad cannot place web: memory exhausted on 1 node " +
			"(see: info p-team1-unplaced)",
		"p-team1-stopped": "no task of p-team1-stopped is running: the job is stopped (see: info p-team1-stopped)",
	} {
		register(t, Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask}, func(context.Context, *Request) error {
			return nil
		})
		err := w.run("probe " + selector)
		delete(commandTable, "probe")
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %q", selector, err, want)
		}
	}
}
