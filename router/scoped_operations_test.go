package router

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/ops"
)

// orders is a cluster that takes every order and remembers which.
type orders struct {
	backends.ClusterWriter
	taken []string
	err   error
}

func (o *orders) take(what, id string) (backends.WriteResult, error) {
	o.taken = append(o.taken, what+" "+id)
	return backends.WriteResult{EvaluationID: "eval of " + what, DeploymentID: "deployment of " + what}, o.err
}

func (o *orders) Stop(_ context.Context, job backends.Job, _ bool) (backends.WriteResult, error) {
	return o.take("stop", job.ID)
}

func (o *orders) Register(_ context.Context, job backends.Job, _ json.RawMessage, _ uint64) (backends.WriteResult, error) {
	return o.take("register", job.ID)
}

func (o *orders) CheckRegister(_ context.Context, job backends.Job, _ json.RawMessage) error {
	_, err := o.take("ask about", job.ID)
	return err
}

func (o *orders) Scale(_ context.Context, job backends.Job, _ string, _ int) (backends.WriteResult, error) {
	return o.take("scale", job.ID)
}

func (o *orders) StopAllocation(_ context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.take("stop allocation", a.ID)
}

func (o *orders) RestartTask(_ context.Context, a backends.Allocation, _ string) error {
	_, err := o.take("restart", a.ID)
	return err
}

func (o *orders) SignalTask(_ context.Context, a backends.Allocation, _, _ string) error {
	_, err := o.take("signal", a.ID)
	return err
}

func (o *orders) Promote(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.take("promote", job.ID)
}

func (o *orders) Fail(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.take("fail", job.ID)
}

func (o *orders) Pause(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.take("pause", job.ID)
}

func (o *orders) Resume(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.take("resume", job.ID)
}

func (o *orders) Revert(_ context.Context, job backends.Job, _ uint64) (backends.WriteResult, error) {
	return o.take("revert", job.ID)
}

func (o *orders) Evaluate(_ context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.take("evaluate", job.ID)
}

func (o *orders) Force(_ context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.take("force", job.ID)
}

func (o *orders) Dispatch(_ context.Context, job backends.Job, _ map[string]string, _ []byte) (backends.WriteResult, error) {
	return o.take("dispatch", job.ID)
}

// everyOrder gives each order about a job or its allocation, and returns what it answered.
func everyOrder(ctx context.Context, o backends.ClusterWriter, job backends.Job) (errs []error) {
	definition, _ := json.Marshal(map[string]string{"ID": job.ID, "Namespace": job.Namespace})
	a := job.Allocations[0]
	keep := func(_ backends.WriteResult, err error) { errs = append(errs, err) }
	keep(o.Stop(ctx, job, false))
	keep(o.Register(ctx, job, definition, 1))
	errs = append(errs, o.CheckRegister(ctx, job, definition))
	keep(o.Scale(ctx, job, "g", 1))
	keep(o.StopAllocation(ctx, a))
	errs = append(errs, o.RestartTask(ctx, a, ""), o.SignalTask(ctx, a, "t", "SIGHUP"))
	keep(o.Promote(ctx, job, "d"))
	keep(o.Fail(ctx, job, "d"))
	keep(o.Pause(ctx, job, "d"))
	keep(o.Resume(ctx, job, "d"))
	keep(o.Revert(ctx, job, 0))
	keep(o.Evaluate(ctx, job))
	keep(o.Force(ctx, job))
	keep(o.Dispatch(ctx, job, nil, nil))
	return errs
}

func TestNoOrderReachesAJobThatIsNotTheUsers(t *testing.T) {
	const methods = 15
	for _, tc := range []struct {
		job  backends.Job
		mine bool
	}{
		{job("production", "default", "p-team1-web"), true},
		{job("production", "default", "p-team1-web/periodic-1"), true},
		{job("production", "default", "p-team10-web"), false},
		{job("production", "default", "p-team2-shop"), false},
		{job("quality", "default", "p-team1-web"), false},
		{job("nosuch", "default", "p-team1-web"), false},
	} {
		production, quality := &orders{}, &orders{}
		var event audit.Event
		user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-", "q-team1-"}, Rights: []string{"stop"}}}}
		tiers := newWorld().Tiers
		o := &operations{owned: user.Scope("stop", tiers), tiers: map[string]backends.ClusterWriter{"production": production, "quality": quality}, event: &event}
		errs := everyOrder(context.Background(), o, tc.job)
		if len(errs) != methods {
			t.Fatalf("tried %d orders, want %d", len(errs), methods)
		}
		taken := len(production.taken) + len(quality.taken)
		for _, err := range errs {
			if (err == nil) != tc.mine || err != nil && !errors.Is(err, errForeign) {
				t.Errorf("%s in %s: got %v", tc.job.ID, tc.job.Tier, err)
			}
		}
		if tc.mine && taken != methods || !tc.mine && taken != 0 {
			t.Errorf("%s in %s: %d orders were taken", tc.job.ID, tc.job.Tier, taken)
		}
		if tc.mine && (len(event.Evaluations) != methods-3 || event.Deployment != "deployment of dispatch") {
			t.Errorf("the event has %q and %q", event.Evaluations, event.Deployment)
		}
		other := &operations{owned: user.Scope("scale", tiers), tiers: o.tiers, event: &event}
		if _, err := other.Stop(context.Background(), tc.job, false); !errors.Is(err, errForeign) {
			t.Errorf("without the right: got %v", err)
		}
	}
}

func TestADefinitionOfAnotherJobIsNotRegistered(t *testing.T) {
	production := &orders{}
	user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{"start"}}}}
	o := &operations{owned: user.Scope("start", newWorld().Tiers), tiers: map[string]backends.ClusterWriter{"production": production}, event: &audit.Event{}}
	own := job("production", "default", "p-team1-web")
	for _, definition := range []string{
		`{"ID":"p-team2-shop","Namespace":"default"}`, `{"ID":"p-team1-web","Namespace":"other"}`, `{}`, `null`, `{"ID":`, ``,
	} {
		if _, err := o.Register(context.Background(), own, json.RawMessage(definition), 1); err == nil || len(production.taken) > 0 {
			t.Errorf("%s: got %v and %q", definition, err, production.taken)
		}
	}
}

func TestOnlyCommandsThatChangeThingsCan(t *testing.T) {
	for _, tc := range []struct {
		set       Set
		can, does bool
	}{{Read, false, false}, {Enter, false, false}, {Operate, true, false}, {Admin, true, true}} {
		w := newWorld(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
		w.Raw = &Raw{}
		ran := false
		before := registry
		registry = map[string]func() Command{}
		Register(func() Command {
			return probe{Spec{Name: "act", Target: TargetScope, Set: tc.set}, func(_ context.Context, req *Request) error {
				ran = true
				if (req.Operations != nil) != tc.can || (req.background != nil) != tc.can || (req.raw != nil) != tc.does {
					t.Errorf("%s: operations %v, background %v, raw %v", tc.set, req.Operations != nil, req.background != nil, req.raw != nil)
				}
				return nil
			}}
		})
		if err := w.do("act"); err != nil || !ran {
			t.Errorf("%s: got %v, ran: %v", tc.set, err, ran)
		}
		registry = before
	}
}

func TestWorkThatGoesOnHasAnEventOfItsOwn(t *testing.T) {
	w := newWorld(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	production := &orders{}
	w.Gateway.Operations = map[string]backends.ClusterWriter{"production": production}
	w.Ops, _ = ops.Open("")
	w.production.jobs = []backends.Job{job("production", "default", "p-team1-web"), job("production", "default", "p-team2-shop")}
	goOn := make(chan struct{})
	var op *ops.Op
	before := registry
	defer func() { registry = before }()
	registry = map[string]func() Command{}
	Register(func() Command {
		return probe{Spec{Name: "act", Args: "JOB", Target: TargetJob, Set: Operate}, func(ctx context.Context, req *Request) error {
			begun, err := req.Begin(ctx, func(ctx context.Context, work Work) error {
				<-goOn
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if _, err := work.Operations.Stop(ctx, job("production", "default", "p-team2-shop"), false); !errors.Is(err, errForeign) {
					t.Errorf("somebody else's: got %v", err)
				}
				_, err := work.Operations.Stop(ctx, req.Job, false)
				return errors.Join(err, errors.New("enough"))
			})
			if err == nil {
				op = begun
			}
			return err
		}}
	})
	if err := w.do("act p-team1-web"); err != nil {
		t.Fatal(err)
	}
	begun := w.event(t)
	err := w.do("act p-team1-web")
	var busy *ops.BusyError
	if !errors.As(err, &busy) {
		t.Errorf("got %v, want a BusyError", err)
	}
	w.event(t)
	close(goOn)
	if err := op.Follow(context.Background(), func(ops.Note) error { return nil }); err == nil || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
	ended := w.event(t)
	if begun.Operation != op.ID || ended.Operation != op.ID || begun.ExitCode != 0 || ended.ExitCode != 1 || ended.Error != "enough" {
		t.Errorf("got %+v and %+v", begun, ended)
	}
	if want := []string{"eval of stop"}; len(begun.Evaluations) > 0 || !slices.Equal(ended.Evaluations, want) || !slices.Equal(production.taken, []string{"stop p-team1-web"}) {
		t.Errorf("got %q, then %q, and the cluster %q", begun.Evaluations, ended.Evaluations, production.taken)
	}
}

func TestWhatNeedsARightOfItsOwnIsRefusedOnRecord(t *testing.T) {
	for granted, want := range map[string]bool{"act": false, "act purge": true} {
		w := newWorld(acl.Group{Name: "team1", Prefixes: []string{"p-team1-"}, Rights: strings.Fields(granted)}, acl.Group{Prefixes: []string{"p-team2-"}, Rights: []string{"purge"}})
		w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
		before := registry
		registry = map[string]func() Command{}
		Register(func() Command {
			return probe{Spec{Name: "act", Args: "JOB", Target: TargetJob, Set: Operate, Rights: map[string]Set{"purge": Admin}}, func(_ context.Context, req *Request) error { return req.Need("purge") }}
		})
		err := w.do("act p-team1-web")
		e := w.event(t)
		if (err == nil) != want || (e.Decision == audit.Allowed) != want {
			t.Errorf("%s: got %v and %s", granted, err, e.Decision)
		}
		registry = before
	}
}

func TestSetsStandForTheRightsInThem(t *testing.T) {
	before := registry
	defer func() { registry = before }()
	registry = map[string]func() Command{}
	add := func(name string, target Target, set Set, rights map[string]Set) {
		Register(func() Command { return probe{Spec{Name: name, Target: target, Set: set, Rights: rights}, nil} })
	}
	add("help", TargetNone, Public, nil)
	add("ps", TargetScope, Read, nil)
	add("exec", TargetScope, Enter, nil)
	add("stop", TargetScope, Operate, map[string]Set{"purge": Admin})
	add("raw", TargetScope, Admin, nil)
	for _, tc := range []struct{ granted, want []string }{
		{nil, []string{"exec", "ps", "stop"}},
		{[]string{}, nil},
		{[]string{"@read"}, []string{"ps"}},
		{[]string{"@operate", "raw"}, []string{"raw", "stop"}},
		{[]string{"@admin"}, []string{"purge", "raw"}},
		{[]string{"purge", "nosuch", "@nosuch", "help"}, []string{"purge"}},
	} {
		if got := Grant(tc.granted); !slices.Equal(got, tc.want) {
			t.Errorf("%q: got %q, want %q", tc.granted, got, tc.want)
		}
	}
}
