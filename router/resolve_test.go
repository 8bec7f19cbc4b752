package router

import (
	"context"
	"slices"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// ownedJob returns a job with one group "g" and one allocation, whose tasks have the given states.
func ownedJob(tier, namespace, id, allocation string, states map[string]string) backends.Job {
	j := job(tier, namespace, id)
	a := &j.Allocations[0]
	a.ID, a.Group, a.Name, a.Node = allocation, "g", id+".g[0]", "node-1"
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range states {
			if !yield(name) {
				return
			}
		}
	}) {
		a.Tasks = append(a.Tasks, backends.Task{Name: name, State: states[name], ExecID: backends.ExecID(name, allocation)})
	}
	return j
}

func TestResolve(t *testing.T) {
	running := map[string]string{"web": "running"}
	w := newTestGateway()
	w.production.jobs = []backends.Job{
		ownedJob("production", "default", "p-team1-web", "aaaa1111-0000", running),
		ownedJob("production", "other", "p-team1-twice", "bbbb1111-0000", running),
		ownedJob("production", "default", "p-team1-twice", "cccc1111-0000", running),
		ownedJob("production", "default", "p-team1-pair", "dddd1111-0000",
			map[string]string{"app": "running", "sidecar": "running"}),
		ownedJob("production", "default", "p-team1-done", "eeee1111-0000", map[string]string{"t": "dead"}),
		ownedJob("production", "default", "p-team1-pair/g", "ffff1111-0000", running),
		ownedJob("production", "default", "p-team1-web/periodic-1", "aaaa2222-0000", running),
		ownedJob("production", "default", "p-team2-shop", "99991111-0000", running),
	}
	id := func(task, allocation string) string { return backends.ExecID(task, allocation) }
	for _, tc := range []struct {
		target   TargetKind
		selector string
		want     string // job, allocation and task
		err      string
	}{
		{TargetJob, "p-team1-web", "p-team1-web", ""},
		{TargetJob, "p-team1-web/periodic-1", "p-team1-web/periodic-1", ""},
		{TargetJob, "p-team1-wbe", "", "no job p-team1-wbe: did you mean p-team1-web? (see: ps --all)"},
		{TargetJob, "p-team1-twice", "", "p-team1-twice is ambiguous (2 matches); choose with --namespace and --tier:"},
		{TargetJob, "p-team1-twice --namespace other", "p-team1-twice", ""},
		{TargetJob, id("web", "aaaa1111-0000"), "", "no job"},
		{TargetJob, "p-team2-shop", "", "no job p-team2-shop"},
		{TargetPart, "p-team1-web", "p-team1-web", ""},
		{TargetPart, "p-team1-web/g", "p-team1-web g", ""},
		{TargetPart, "p-team1-web/nosuch/t", "p-team1-web nosuch/t", ""}, // resolve does not check that it exists
		{TargetPart, "p-team1-web/g/t/u", "", "no job p-team1-web/g/t/u"},
		{TargetPart, "p-team1-web/", "", "no job p-team1-web/"},
		{TargetPart, "p-team1-web/periodic-1/g", "p-team1-web/periodic-1 g", ""}, // the longest job ID wins
		{TargetPart, "p-team1-pair/g", "p-team1-pair/g", ""},                     // the exact job ID wins
		{TargetPart, "p-team1-twice/g", "", "p-team1-twice/g is ambiguous (2 matches); choose with --namespace and --tier:"},
		{TargetPart, "p-team2-shop/g", "", "no job p-team2-shop/g"},
		{TargetPart, id("app", "dddd1111-0000"), "p-team1-pair dddd1111-0000 app", ""},
		{TargetPart, "dddd1111-0000", "p-team1-pair dddd1111-0000", ""}, // the whole allocation
		{TargetPart, "dddd", "p-team1-pair dddd1111-0000", ""},
		{TargetPart, "aaaa", "", "aaaa is ambiguous (2 matches); name one of them:"},
		{TargetPart, "99991111-0000", "", "no job 99991111-0000"},
		{TargetTask, id("web", "aaaa1111-0000"), "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, strings.ToUpper(id("web", "aaaa1111-0000")), "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, id("web", "aaaa1111-0000")[:6], "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, id("web", "aaaa1111-0000")[:3], "", "no task"},
		{TargetTask, "aaaa1111", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "aaaa", "", "aaaa is ambiguous (2 matches); name one of them:"},
		{TargetTask, "dddd1111-0000", "", "dddd1111-0000 is ambiguous (2 matches); name one of them:"},
		{TargetTask, "p-team1-web", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-web/g", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-web/g/web", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-pair/g/app", "p-team1-pair dddd1111-0000 app", ""},
		{TargetTask, "p-team1-pair/g", "p-team1-pair/g ffff1111-0000 web", ""}, // the exact job ID comes first
		{TargetTask, "p-team1-pair", "", "p-team1-pair is ambiguous (2 matches); name one of them:"},
		{TargetTask, "p-team1-done", "", "no task of p-team1-done is running (see: ps --all p-team1-done)"},
		{TargetTask, id("t", "eeee1111-0000"), "p-team1-done eeee1111-0000 t", ""}, // a finished task by its ID
		{TargetTask, id("web", "99991111-0000"), "", "no task " + id("web", "99991111-0000") + " (see: ps)"},
		{TargetTask, "9999999999", "", "no task 9999999999 (see: ps)"},
		{TargetTask, "p-team2-shop/g/web", "", "no task p-team2-shop/g/web (see: ps)"},
		{TargetJobOrTask, "p-team1-web", "p-team1-web", ""},
		{TargetJobOrTask, "aaaa1111", "p-team1-web aaaa1111-0000 web", ""},
		{TargetJobOrTask, "p-team1-pair/g/app", "p-team1-pair dddd1111-0000 app", ""},
		{TargetJobOrTask, "p-team1-done/g/t", "p-team1-done eeee1111-0000 t", ""}, // the newest, if none is running
		{TargetJobOrTask, "p-team1-done/g", "p-team1-done eeee1111-0000 t", ""},
		{TargetJobOrTask, "p-team1-done/g/x", "", "p-team1-done has no group or task g/x (see: ps --all p-team1-done)"},
		{TargetJobOrTask, "p-team2-shop/g/web", "", "no job p-team2-shop/g/web"},
		// The names that ps and messages print.
		{TargetTask, "p-team1-web/g[0]", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-web.g[0]", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-web.g[0]/web", "p-team1-web aaaa1111-0000 web", ""},
		{TargetTask, "p-team1-pair/g[0]", "", "p-team1-pair/g[0] is ambiguous (2 matches); name one of them:"},
		{TargetTask, "p-team1-pair/g[0]/sidecar", "p-team1-pair dddd1111-0000 sidecar", ""},
		{TargetTask, "p-team1-web/g[1]", "", "no task p-team1-web/g[1] (see: ps)"},
		{TargetTask, "p-team1-web-g[0]", "", "no task p-team1-web-g[0] (see: ps)"},
		{TargetTask, "p-team1-done.g[0]", "", "no task of p-team1-done.g[0] is running (see: ps --all p-team1-done)"},
		{TargetTask, "p-team2-shop/g[0]", "", "no task p-team2-shop/g[0] (see: ps)"},
		{TargetJobOrTask, "p-team1-done/g[0]", "p-team1-done eeee1111-0000 t", ""},
		{TargetJobOrTask, "p-team2-shop.g[0]", "", "no job p-team2-shop.g[0]"},
		{TargetPart, "p-team1-pair/g[0]", "p-team1-pair dddd1111-0000", ""},
		{TargetPart, "p-team1-pair.g[0]/app", "p-team1-pair dddd1111-0000 app", ""},
		{TargetPart, "p-team1-done/g[0]", "p-team1-done eeee1111-0000", ""},
		{TargetPart, "p-team1-twice/g[0]", "", "p-team1-twice/g[0] is ambiguous (2 matches); choose with --namespace"},
		{TargetPart, "p-team2-shop/g[0]", "", "no job p-team2-shop/g[0]"},
		{TargetTask, "p-team1-done/g/t", "", "no task of p-team1-done/g/t is running (see: ps --all p-team1-done)"},
		{TargetJobOrTask, "p-team2-shop", "", "no job p-team2-shop"},
		{TargetJobOrTask, "", "", "no job"},
	} {
		got := ""
		register(t, Spec{Name: "probe", Args: "SELECTOR", Target: tc.target}, func(_ context.Context, req *Request) error {
			got = req.Target.Job.ID
			if req.Target.Part.Group != "" {
				got += " " + strings.TrimSuffix(req.Target.Part.Group+"/"+req.Target.Part.Task, "/")
			}
			if req.Target.Allocation != nil {
				got += " " + req.Target.Allocation.ID
			}
			if req.Target.Task != nil {
				got += " " + req.Target.Task.Name
			}
			return nil
		})
		w.production.filterNamespace = true
		selector := tc.selector
		if selector == "" {
			selector = "''"
		}
		err := w.run("probe " + selector)
		e := w.event(t)
		delete(commandTable, "probe")
		if tc.err == "" {
			if err != nil || got != tc.want || e.Decision != audit.Allowed || !strings.HasPrefix(got, e.Job) || e.Job == "" {
				t.Errorf("%d %q: got %q, %v and the event %+v, want %q", tc.target, tc.selector, got, err, e, tc.want)
			}
			continue
		}
		decision := audit.Failed // the user owns what the selector names
		unknown := !strings.Contains(tc.err, " is running")
		if strings.HasPrefix(tc.err, "no job") || strings.HasPrefix(tc.err, "no task") && unknown {
			decision = audit.Denied
		}
		if err == nil || !strings.HasPrefix(err.Error(), tc.err) || got != "" || ExitCode(err) != 1 ||
			e.Decision != decision {
			t.Errorf("%d %q: got %q, %v, %s, want %q, %s", tc.target, tc.selector, got, err, e.Decision, tc.err, decision)
		}
		if strings.Contains(strings.ReplaceAll(err.Error(), tc.selector, ""), "team2") {
			t.Errorf("%q: the error names a job that is not owned: %v", tc.selector, err)
		}
	}
}

// jobInState sets the state of the job's first allocation, in Nomad's terms, and adds the allocations of further
// jobs.
func jobInState(j backends.Job, status, desired string, more ...backends.Job) backends.Job {
	j.Allocations[0].Status, j.Allocations[0].Desired = status, desired
	for _, other := range more {
		j.Allocations = append(j.Allocations, other.Allocations...)
	}
	return j
}

func TestResolve_AllocationStates(t *testing.T) {
	running := map[string]string{"web": "running"} // also in lost allocations: Nomad keeps the last known state
	allocation := func(job, id, status, desired string) backends.Job {
		return jobInState(ownedJob("production", "default", job, id, running), status, desired)
	}
	with := func(jobs ...backends.Job) backends.Job {
		return jobInState(jobs[0], jobs[0].Allocations[0].Status, jobs[0].Allocations[0].Desired, jobs[1:]...)
	}
	w := newTestGateway()
	w.production.jobs = []backends.Job{
		with(allocation("p-team1-lost", "aaaa1111-0000", "running", "run"),
			allocation("p-team1-lost", "aaaa2222-0000", "lost", "stop")),
		with(allocation("p-team1-mixed", "bbbb1111-0000", "complete", "stop"),
			allocation("p-team1-mixed", "bbbb2222-0000", "failed", "run"),
			allocation("p-team1-mixed", "bbbb3333-0000", "running", "run")),
		with(allocation("p-team1-cut", "cccc1111-0000", "unknown", "run")),
		with(allocation("p-team1-replaced", "dddd1111-0000", "unknown", "run"),
			allocation("p-team1-replaced", "dddd2222-0000", "running", "run")),
		with(allocation("p-team1-rolling", "eeee1111-0000", "running", "stop"),
			allocation("p-team1-rolling", "eeee2222-0000", "running", "run")),
		with(allocation("p-team1-ending", "ffff1111-0000", "running", "stop")),
		with(allocation("p-team1-nodelost", "12341111-0000", "lost", "stop")),
		with(jobInState(ownedJob("production", "default", "p-team1-prepared", "56781111-0000",
			map[string]string{"init": "dead", "web": "running"}), "running", "run")),
	}
	id := func(allocation string) string { return backends.ExecID("web", allocation) }
	for _, tc := range []struct {
		target   TargetKind
		selector string
		want     string // the allocation, or the job
		err      string
	}{
		{TargetTask, "p-team1-lost", "aaaa1111-0000", ""},
		{TargetTask, "p-team1-lost/g", "aaaa1111-0000", ""},
		{TargetTask, "p-team1-lost/g/web", "aaaa1111-0000", ""},
		{TargetTask, "aaaa", "aaaa1111-0000", ""}, // matches the lost allocation too
		{TargetTask, "aaaa2", "aaaa2222-0000", ""},
		{TargetTask, "aaaa2222-0000", "aaaa2222-0000", ""},
		{TargetTask, id("aaaa2222-0000"), "aaaa2222-0000", ""},
		{TargetTask, id("aaaa2222-0000")[:6], "aaaa2222-0000", ""},
		{TargetTask, "p-team1-mixed", "bbbb3333-0000", ""},
		{TargetTask, "p-team1-cut", "cccc1111-0000", ""}, // it may still be running
		{TargetTask, "p-team1-replaced", "dddd2222-0000", ""},
		{TargetTask, "dddd", "", "dddd is ambiguous (2 matches); name one of them:"}, // both may be running
		{TargetTask, "p-team1-rolling", "eeee2222-0000", ""},
		{TargetTask, "p-team1-ending", "ffff1111-0000", ""},
		{
			TargetTask, "p-team1-nodelost", "", "no task of p-team1-nodelost is running: g[0]/web is lost: " +
				"node down (see: info p-team1-nodelost)",
		},
		{
			TargetTask, "p-team1-nodelost/g", "", "no task of p-team1-nodelost/g is running: g[0]/web is lost: " +
				"node down (see: info p-team1-nodelost)",
		},
		{TargetTask, id("12341111-0000"), "12341111-0000", ""},
		{TargetTask, "56781111", "56781111-0000", ""}, // the exited task does not match
		{TargetJobOrTask, "p-team1-lost/g", "aaaa1111-0000", ""},
		{TargetJobOrTask, "p-team1-lost", "p-team1-lost", ""},
		{TargetJobOrTask, "aaaa", "aaaa1111-0000", ""},
		{TargetJobOrTask, "aaaa2222-0000", "aaaa2222-0000", ""},
		{TargetJobOrTask, "p-team1-cut/g", "cccc1111-0000", ""},
		{TargetPart, "aaaa", "aaaa1111-0000", ""},
		{TargetPart, "aaaa2222-0000", "aaaa2222-0000", ""},
		{TargetPart, "56781111-0000", "56781111-0000", ""},
	} {
		got := ""
		register(t, Spec{Name: "probe", Args: "SELECTOR", Target: tc.target}, func(_ context.Context, req *Request) error {
			if got = req.Target.Job.ID; req.Target.Allocation != nil {
				got = req.Target.Allocation.ID
			}
			return nil
		})
		err := w.run("probe " + tc.selector)
		delete(commandTable, "probe")
		if tc.err == "" && (err != nil || got != tc.want) {
			t.Errorf("%d %q: got %q, %v, want %q", tc.target, tc.selector, got, err, tc.want)
		}
		if tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err)) {
			t.Errorf("%d %q: got %q, %v, want %q", tc.target, tc.selector, got, err, tc.err)
		}
	}
}

func TestResolve_NotOwnedLikeMissing(t *testing.T) {
	w := newTestGateway()
	w.production.jobs = []backends.Job{ownedJob("production", "default", "p-team2-shop", "99991111-0000",
		map[string]string{"web": "running"})}
	register(t, Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask},
		func(context.Context, *Request) error { return nil })
	var queried [2]int
	var texts [2]string
	for i, selector := range []string{backends.ExecID("web", "99991111-0000"), "0123456789"} {
		w.production.queried, w.quality.queried = nil, nil
		texts[i] = strings.ReplaceAll(w.run("probe "+selector).Error(), selector, "X")
		queried[i] = len(w.production.queried) + len(w.quality.queried)
	}
	if queried[0] != queried[1] || texts[0] != texts[1] {
		t.Errorf("not owned: %d queries and %q; missing: %d and %q", queried[0], texts[0], queried[1], texts[1])
	}
}

func TestResolve_NotFoundTierDown(t *testing.T) {
	w := newTestGateway()
	w.quality.err = backends.ErrUnreachable
	register(t, Spec{Name: "probe", Args: "JOB", Target: TargetJob}, func(context.Context, *Request) error { return nil })
	err := w.run("probe q-team1-db")
	if e := w.event(t); err == nil || err.Error() != "tier quality: no response" || e.Decision != audit.Failed {
		t.Errorf("its tier is down: got %v, %s, want only that, and %s", err, e.Decision, audit.Failed)
	}
	err = w.run("probe p-team1-db")
	if err == nil || !strings.Contains(err.Error(), "no job p-team1-db") ||
		!strings.Contains(err.Error(), "tier quality: no response") {
		t.Errorf("another tier is down: got %v, want both errors", err)
	}
	if e := w.event(t); e.Decision != audit.Denied {
		t.Errorf("another tier is down: got the decision %s, want %s", e.Decision, audit.Denied)
	}
	w.run("probe 45fed1138a")
	if e := w.event(t); e.Decision != audit.Failed {
		t.Errorf("an ID that may be in the tier that is down: got the decision %s, want %s", e.Decision, audit.Failed)
	}
}

func TestResolve_PrefixTierDown(t *testing.T) {
	running := map[string]string{"web": "running"}
	for _, tc := range []struct {
		tiers    []acl.Tier
		selector string
		ok       bool
	}{
		{nil, backends.ExecID("web", "aaaa1111-0000"), true},
		{nil, "aaaa1111-0000", true},
		{nil, "p-team1-web", true}, // the tier that is down has other prefixes
		{nil, backends.ExecID("web", "aaaa1111-0000")[:6], false},
		{nil, "aaaa", false},
		{
			[]acl.Tier{{Name: "production", Prefixes: []string{"p-"}}, {Name: "quality", Prefixes: []string{"p-team1-"}}},
			"p-team1-web", false,
		},
	} {
		w := newTestGateway()
		if tc.tiers != nil {
			w.Tiers = tc.tiers
		}
		w.production.jobs = []backends.Job{ownedJob("production", "default", "p-team1-web", "aaaa1111-0000", running)}
		w.quality.err = backends.ErrUnreachable
		register(t, Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask},
			func(context.Context, *Request) error { return nil })
		if err := w.run("probe " + tc.selector); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", tc.selector, err)
		}
		delete(commandTable, "probe")
	}
}

func TestAmbiguousError_MaxListed(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-"}})
	for range 1000 {
		w.production.jobs = append(w.production.jobs, ownedJob("production", "default", "p-many", "abcd1111-0000",
			map[string]string{"t": "running"}))
	}
	register(t, Spec{Name: "probe", Args: "SELECTOR", Target: TargetTask},
		func(context.Context, *Request) error { return nil })
	if err := w.run("probe p-many"); err == nil || strings.Count(err.Error(), "\n") != maxListed+1 ||
		!strings.Contains(err.Error(), "and 990 more") {
		t.Errorf("got %v", err)
	}
}
