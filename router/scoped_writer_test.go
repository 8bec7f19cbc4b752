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

// fakeWriter accepts every change and records it.
type fakeWriter struct {
	backends.ClusterWriter
	recorded []string
	err      error
}

func (o *fakeWriter) record(action, id string) (backends.WriteResult, error) {
	o.recorded = append(o.recorded, action+" "+id)
	return backends.WriteResult{EvaluationID: "eval of " + action, DeploymentID: "deployment of " + action}, o.err
}

func (o *fakeWriter) Stop(_ context.Context, job backends.Job, _ bool) (backends.WriteResult, error) {
	return o.record("stop", job.ID)
}

func (o *fakeWriter) Register(_ context.Context, job backends.Job, _ json.RawMessage,
	_ uint64,
) (backends.WriteResult, error) {
	return o.record("register", job.ID)
}

func (o *fakeWriter) CheckRegister(_ context.Context, job backends.Job, _ json.RawMessage) error {
	_, err := o.record("check", job.ID)
	return err
}

func (o *fakeWriter) Scale(_ context.Context, job backends.Job, _ string, _ int) (backends.WriteResult, error) {
	return o.record("scale", job.ID)
}

func (o *fakeWriter) StopAllocation(_ context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.record("stop allocation", a.ID)
}

func (o *fakeWriter) RestartTask(_ context.Context, a backends.Allocation, _ string) error {
	_, err := o.record("restart", a.ID)
	return err
}

func (o *fakeWriter) SignalTask(_ context.Context, a backends.Allocation, _, _ string) error {
	_, err := o.record("signal", a.ID)
	return err
}

func (o *fakeWriter) PromoteDeployment(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.record("promote", job.ID)
}

func (o *fakeWriter) FailDeployment(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.record("fail", job.ID)
}

func (o *fakeWriter) PauseDeployment(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.record("pause", job.ID)
}

func (o *fakeWriter) ResumeDeployment(_ context.Context, job backends.Job, _ string) (backends.WriteResult, error) {
	return o.record("resume", job.ID)
}

func (o *fakeWriter) Revert(_ context.Context, job backends.Job, _ uint64) (backends.WriteResult, error) {
	return o.record("revert", job.ID)
}

func (o *fakeWriter) Evaluate(_ context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.record("evaluate", job.ID)
}

func (o *fakeWriter) Force(_ context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.record("force", job.ID)
}

func (o *fakeWriter) Dispatch(_ context.Context, job backends.Job, _ map[string]string,
	_ []byte,
) (backends.WriteResult, error) {
	return o.record("dispatch", job.ID)
}

// everyWrite calls each method for a job or its allocation, and returns the errors.
func everyWrite(ctx context.Context, o backends.ClusterWriter, job backends.Job) (errs []error) {
	definition, _ := json.Marshal(map[string]string{"ID": job.ID, "Namespace": job.Namespace})
	a := job.Allocations[0]
	collect := func(_ backends.WriteResult, err error) { errs = append(errs, err) }
	collect(o.Stop(ctx, job, false))
	collect(o.Register(ctx, job, definition, 1))
	errs = append(errs, o.CheckRegister(ctx, job, definition))
	collect(o.Scale(ctx, job, "g", 1))
	collect(o.StopAllocation(ctx, a))
	errs = append(errs, o.RestartTask(ctx, a, ""), o.SignalTask(ctx, a, "t", "SIGHUP"))
	collect(o.PromoteDeployment(ctx, job, "d"))
	collect(o.FailDeployment(ctx, job, "d"))
	collect(o.PauseDeployment(ctx, job, "d"))
	collect(o.ResumeDeployment(ctx, job, "d"))
	collect(o.Revert(ctx, job, 0))
	collect(o.Evaluate(ctx, job))
	collect(o.Force(ctx, job))
	collect(o.Dispatch(ctx, job, nil, nil))
	return errs
}

func TestScopedWriter_NotOwned(t *testing.T) {
	const methods = 15
	for _, tc := range []struct {
		job   backends.Job
		owned bool
	}{
		{job("production", "default", "p-team1-web"), true},
		{job("production", "default", "p-team1-web/periodic-1"), true},
		{job("production", "default", "p-team10-web"), false},
		{job("production", "default", "p-team2-shop"), false},
		{job("quality", "default", "p-team1-web"), false},
		{job("nosuch", "default", "p-team1-web"), false},
	} {
		production, quality := &fakeWriter{}, &fakeWriter{}
		var event audit.Event
		user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-", "q-team1-"}, Rights: []string{"stop"}}}}
		tiers := newTestGateway().Tiers
		o := &scopedWriter{
			owned:   user.Scope("stop", tiers),
			writers: map[string]backends.ClusterWriter{"production": production, "quality": quality}, event: &event,
		}
		errs := everyWrite(context.Background(), o, tc.job)
		if len(errs) != methods {
			t.Fatalf("called %d methods, want %d", len(errs), methods)
		}
		recorded := len(production.recorded) + len(quality.recorded)
		for _, err := range errs {
			if (err == nil) != tc.owned || err != nil && !errors.Is(err, errNotOwned) {
				t.Errorf("%s in %s: got %v", tc.job.ID, tc.job.Tier, err)
			}
		}
		if tc.owned && recorded != methods || !tc.owned && recorded != 0 {
			t.Errorf("%s in %s: %d calls reached a cluster", tc.job.ID, tc.job.Tier, recorded)
		}
		if tc.owned && (len(event.Evaluations) != methods-3 || event.Deployment != "deployment of dispatch") {
			t.Errorf("got the evaluations %q and the deployment %q in the event", event.Evaluations, event.Deployment)
		}
		other := &scopedWriter{owned: user.Scope("scale", tiers), writers: o.writers, event: &event}
		if _, err := other.Stop(context.Background(), tc.job, false); !errors.Is(err, errNotOwned) {
			t.Errorf("without the right: got %v", err)
		}
	}
}

func TestScopedWriter_OtherDefinition(t *testing.T) {
	production := &fakeWriter{}
	user := acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{"start"}}}}
	o := &scopedWriter{
		owned:   user.Scope("start", newTestGateway().Tiers),
		writers: map[string]backends.ClusterWriter{"production": production}, event: &audit.Event{},
	}
	own := job("production", "default", "p-team1-web")
	for _, definition := range []string{
		`{"ID":"p-team2-shop","Namespace":"default"}`, `{"ID":"p-team1-web","Namespace":"other"}`, `{}`, `null`, `{"ID":`, ``,
	} {
		if _, err := o.Register(context.Background(), own, json.RawMessage(definition), 1); err == nil ||
			len(production.recorded) > 0 {
			t.Errorf("%s: got %v and %q", definition, err, production.recorded)
		}
	}
}

func TestAuthorize_WriterBySet(t *testing.T) {
	for _, tc := range []struct {
		set               RightSet
		canChange, canRaw bool
	}{{Read, false, false}, {Enter, false, false}, {Operate, true, false}, {Admin, true, true}} {
		w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
		w.Raw = &Raw{}
		ran := false
		before := commandTable
		commandTable = map[string]func() Command{}
		Register(func() Command {
			return probe{Spec{Name: "act", Target: TargetScope, RightSet: tc.set}, func(_ context.Context, req *Request) error {
				ran = true
				a := req.Access
				if (a.Writer != nil) != tc.canChange || (a.Operations != nil) != tc.canChange || (a.Raw != nil) != tc.canRaw {
					t.Errorf("%s: writer %v, operations %v, raw %v", tc.set, a.Writer != nil, a.Operations != nil, a.Raw != nil)
				}
				return nil
			}}
		})
		if err := w.run("act"); err != nil || !ran {
			t.Errorf("%s: got %v, ran %v", tc.set, err, ran)
		}
		commandTable = before
	}
}

func TestStartOperation_OwnEvent(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"act"}})
	production := &fakeWriter{}
	w.Gateway.Writers = map[string]backends.ClusterWriter{"production": production}
	w.Ops, _ = ops.Open("")
	w.production.jobs = []backends.Job{
		job("production", "default", "p-team1-web"),
		job("production", "default", "p-team2-shop"),
	}
	proceed := make(chan struct{})
	var op *ops.Op
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	Register(func() Command {
		return probe{
			Spec{Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate},
			func(ctx context.Context, req *Request) error {
				started, err := req.Access.Operations.Start(ctx, func(ctx context.Context, work ops.Operation) error {
					<-proceed
					if ctx.Err() != nil {
						return ctx.Err()
					}
					_, err := work.Writer.Stop(ctx, job("production", "default", "p-team2-shop"), false)
					if !errors.Is(err, errNotOwned) {
						t.Errorf("not owned: got %v", err)
					}
					_, err = work.Writer.Stop(ctx, req.Target.Job, false)
					return errors.Join(err, errors.New("failed"))
				})
				if err == nil {
					op = started
				}
				return err
			},
		}
	})
	if err := w.run("act p-team1-web"); err != nil {
		t.Fatal(err)
	}
	started := w.event(t)
	err := w.run("act p-team1-web")
	var busy *ops.BusyError
	if !errors.As(err, &busy) {
		t.Errorf("got %v, want a BusyError", err)
	}
	w.event(t)
	close(proceed)
	if err := op.Follow(context.Background(), func(ops.Note) error { return nil }); err == nil || err.Error() != "failed" {
		t.Errorf("got %v", err)
	}
	ended := w.event(t)
	if started.Operation != op.ID || ended.Operation != op.ID || started.ExitCode != 0 || ended.ExitCode != 1 ||
		ended.Error != "failed" {
		t.Errorf("got %+v and %+v", started, ended)
	}
	if want := []string{"eval of stop"}; len(started.Evaluations) > 0 || !slices.Equal(ended.Evaluations, want) ||
		!slices.Equal(production.recorded, []string{"stop p-team1-web"}) {
		t.Errorf("got the evaluations %q, then %q, and the changes %q",
			started.Evaluations, ended.Evaluations, production.recorded)
	}
}

func TestRequire_RefusalIsRecorded(t *testing.T) {
	for granted, want := range map[string]bool{"act": false, "act purge": true} {
		w := newTestGateway(acl.Group{Name: "team1", Prefixes: []string{"p-team1-"}, Rights: strings.Fields(granted)},
			acl.Group{Prefixes: []string{"p-team2-"}, Rights: []string{"purge"}})
		w.production.jobs = []backends.Job{job("production", "default", "p-team1-web")}
		before := commandTable
		commandTable = map[string]func() Command{}
		Register(func() Command {
			return probe{
				Spec{
					Name: "act", Args: "JOB", Target: TargetJob, RightSet: Operate,
					FlagRights: map[string]RightSet{"purge": Admin},
				},
				func(_ context.Context, req *Request) error { return req.Require("purge") },
			}
		})
		err := w.run("act p-team1-web")
		e := w.event(t)
		if (err == nil) != want || (e.Decision == audit.Allowed) != want {
			t.Errorf("%s: got %v and %s", granted, err, e.Decision)
		}
		commandTable = before
	}
}

func TestExpandGrants(t *testing.T) {
	before := commandTable
	defer func() { commandTable = before }()
	commandTable = map[string]func() Command{}
	add := func(name string, target TargetKind, set RightSet, rights map[string]RightSet) {
		Register(func() Command { return probe{Spec{Name: name, Target: target, RightSet: set, FlagRights: rights}, nil} })
	}
	add("help", TargetNone, Public, nil)
	add("ps", TargetScope, Read, nil)
	add("exec", TargetScope, Enter, nil)
	add("stop", TargetScope, Operate, map[string]RightSet{"purge": Admin})
	add("raw", TargetScope, Admin, nil)
	for _, tc := range []struct{ granted, want []string }{
		{nil, []string{"exec", "ps", "stop"}},
		{[]string{}, nil},
		{[]string{"@read"}, []string{"ps"}},
		{[]string{"@operate", "raw"}, []string{"raw", "stop"}},
		{[]string{"@admin"}, []string{"purge", "raw", "secrets"}},
		{[]string{"purge", "nosuch", "@nosuch", "help"}, []string{"purge"}},
	} {
		if got := ExpandGrants(tc.granted); !slices.Equal(got, tc.want) {
			t.Errorf("%q: got %q, want %q", tc.granted, got, tc.want)
		}
	}
}
