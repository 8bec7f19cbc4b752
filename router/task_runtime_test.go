package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// fakeRuntime answers everything with one error, and counts.
type fakeRuntime struct {
	err, inspected error
	programs, logs int
}

func (f *fakeRuntime) Exec(context.Context, backends.TaskRef, backends.Program) (int, error) {
	f.programs++
	return 7, f.err
}

func (f *fakeRuntime) Attach(context.Context, backends.TaskRef, backends.Attachment) (int, error) {
	f.programs++
	return 7, f.err
}

func (f *fakeRuntime) Log(_ context.Context, _ backends.TaskRef, _ backends.LogQuery, each func(backends.LogChunk) error) error {
	f.logs++
	return f.err
}

func (f *fakeRuntime) Inspect(context.Context, backends.Node, string, string) (json.RawMessage, error) {
	return nil, f.inspected
}

// fakeFiles is a runtime that keeps logs in files, as Nomad does.
type fakeFiles struct{ *fakeRuntime }

func (f fakeFiles) LogBefore(context.Context, backends.TaskRef, [2]backends.RetainedOutput, backends.LogQuery, func(backends.LogChunk) error) error {
	return f.err
}

func (f *fakeRuntime) NeedsAddress() bool { return false }

// Allocation tells that all tasks are of the docker driver, but for one that is of raw_exec.
func (c *cluster) Allocation(context.Context, backends.Allocation) (backends.AllocationDetail, error) {
	return backends.AllocationDetail{Drivers: map[string]string{"web": "docker", "raw": "raw_exec"}}, nil
}

// taskOf returns a task of ann's, with its scope.
func taskOf(w *world, r *Runtimes, task string) (Runtime, *scope) {
	s := &scope{
		owned:    acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{"exec"}}}}.Scope("exec", w.Tiers),
		clusters: w.Clusters, event: &audit.Event{},
	}
	a := job("production", "default", "p-team1-web").Allocations[0]
	return r.of(s, a, task), s
}

func TestRuntimeAuto_DockerDeclines(t *testing.T) {
	declined := fmt.Errorf("the docker daemon of node n answers 403 Forbidden: %w", backends.ErrDeclined)
	unsupported := fmt.Errorf("attach %w through Nomad: it needs Docker", backends.ErrUnsupported)
	for name, c := range map[string]struct {
		way               Way
		docker, inspected error
		nomad             error
		inDocker, inNomad int
		code              int
		want              []error
	}{
		"serves":                        {Auto, nil, nil, nil, 1, 0, 7, nil},
		"declines":                      {Auto, declined, nil, nil, 1, 1, 7, nil},
		"declines, and Nomad cannot":    {Auto, declined, nil, unsupported, 1, 1, 7, []error{declined, unsupported}},
		"declines to inspect":           {Auto, nil, declined, nil, 0, 1, 7, nil},
		"neither can":                   {Auto, nil, declined, unsupported, 0, 1, 7, []error{declined, unsupported}},
		"fails":                         {Auto, errors.New("lost"), nil, nil, 1, 0, 7, nil},
		"loses its connection":          {Auto, backends.ErrUnreachable, nil, nil, 1, 0, 7, []error{backends.ErrUnreachable}},
		"declines, and is the only way": {WithDocker, declined, declined, nil, 1, 0, 7, []error{declined}},
	} {
		w := newWorld()
		docker, nomad := &fakeRuntime{err: c.docker, inspected: c.inspected}, &fakeRuntime{err: c.nomad}
		r := &Runtimes{Docker: docker, Nomad: map[string]backends.Runtime{"production": fakeFiles{nomad}}, Way: c.way}
		for i, do := range []func(Runtime) (int, error){
			func(r Runtime) (int, error) { return r.Exec(t.Context(), backends.Program{}) },
			func(r Runtime) (int, error) { return r.Attach(t.Context(), backends.Attachment{}) },
		} {
			task, _ := taskOf(w, r, "web")
			code, err := do(task)
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%s, %d: got %v, want %v in it", name, i, err, want)
				}
			}
			if code != c.code || docker.programs != (i+1)*c.inDocker || nomad.programs != (i+1)*c.inNomad {
				t.Errorf("%s, %d: got %d, %d times in Docker and %d times in Nomad", name, i, code, docker.programs, nomad.programs)
			}
		}
		task, _ := taskOf(w, r, "web")
		task.Log(t.Context(), backends.LogQuery{}, func(backends.LogChunk) error { return nil })
		inFiles := c.inNomad
		if name == "fails" { // Docker's log may be damaged, so the gateway reads Nomad's files
			inFiles = 1
		}
		if docker.logs != c.inDocker || nomad.logs != inFiles {
			t.Errorf("%s: log: got %d times of Docker and %d times of Nomad", name, docker.logs, nomad.logs)
		}
	}
}

func TestRuntime_RefusedDriver(t *testing.T) {
	for _, way := range []Way{Auto, WithDocker, WithNomad} {
		w := newWorld()
		docker, nomad := &fakeRuntime{}, &fakeRuntime{}
		r := &Runtimes{Docker: docker, Nomad: map[string]backends.Runtime{"production": nomad}, Way: way, Refuse: []string{"raw_exec"}}
		for task, want := range map[string]string{
			"raw":     "uses the driver raw_exec, for which this gateway refuses exec and attach",
			"unknown": "is not known, and this gateway refuses exec and attach for some drivers",
			"web":     "",
		} {
			for _, do := range []func(Runtime) (int, error){
				func(r Runtime) (int, error) { return r.Exec(t.Context(), backends.Program{}) },
				func(r Runtime) (int, error) { return r.Attach(t.Context(), backends.Attachment{}) },
			} {
				docker.programs, nomad.programs = 0, 0
				runtime, s := taskOf(w, r, task)
				_, err := do(runtime)
				if run := docker.programs + nomad.programs; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || (run == 1) != (want == "") {
					t.Errorf("%s, %s: got %v, and %d programs", way, task, err, run)
				}
				if denied := s.event.Decision == audit.Denied; denied != (want != "") {
					t.Errorf("%s, %s: got the decision %q", way, task, s.event.Decision)
				}
			}
		}
	}
}

// TestRuntime_QuotaOfAUser takes what a user may have on one cluster, of which production and backup are tiers.
func TestRuntime_QuotaOfAUser(t *testing.T) {
	w := newWorld()
	nomad := &fakeRuntime{}
	r := &Runtimes{
		Nomad: map[string]backends.Runtime{"production": nomad, "backup": nomad, "test": nomad}, Way: WithNomad,
		Programs: backends.NewQuota("programs", 1), Logs: backends.NewQuota("logs", 1),
		Cluster: func(tier string) string {
			if tier == "backup" {
				return "production"
			}
			return tier
		},
	}
	runtimeIn := func(tier string) Runtime {
		task, _ := taskOf(w, r, "web")
		task.(*taskRuntime).place.Allocation.Tier = tier
		return task
	}
	ann, bob := backends.WithUser(t.Context(), "ann"), backends.WithUser(t.Context(), "bob")
	leaveProgram, err := r.Programs.Acquire(ann, "production")
	if err != nil {
		t.Fatal(err)
	}
	leaveLog, err := r.Logs.Acquire(ann, "production")
	if err != nil {
		t.Fatal(err)
	}
	do := map[string]func(context.Context, string) error{
		"exec": func(ctx context.Context, tier string) error {
			_, err := runtimeIn(tier).Exec(ctx, backends.Program{})
			return err
		},
		"attach": func(ctx context.Context, tier string) error {
			_, err := runtimeIn(tier).Attach(ctx, backends.Attachment{})
			return err
		},
		"log": func(ctx context.Context, tier string) error {
			return runtimeIn(tier).Log(ctx, backends.LogQuery{}, func(backends.LogChunk) error { return nil })
		},
	}
	for name, f := range do {
		for _, tier := range []string{"production", "backup"} {
			if err := f(ann, tier); !errors.Is(err, backends.ErrLimitReached) || Code(err) != CodeTryLater {
				t.Errorf("%s in %s: got %v, code %d", name, tier, err, Code(err))
			}
		}
		if err := f(ann, "test"); errors.Is(err, backends.ErrLimitReached) {
			t.Errorf("%s in another cluster: got %v", name, err)
		}
		if err := f(bob, "production"); err != nil {
			t.Errorf("%s of another user: got %v", name, err)
		}
	}
	leaveProgram()
	leaveLog()
	for name, f := range do { // and again: each gives back what it took
		for range 2 {
			if err := f(ann, "production"); err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// TestBusy_Exits75 although a program's command has another code for what goes wrong before the program.
func TestBusy_Exits75(t *testing.T) {
	for name, program := range map[string]bool{"a command": false, "a program": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe"}})
			register(t, Spec{Name: "probe", Target: TargetNone, Program: program}, func(ctx context.Context, _ *Request) error {
				if user := backends.UserOf(ctx); user != "ann" {
					t.Errorf("it is done for %q, want ann", user)
				}
				return fmt.Errorf("%w: try again", backends.ErrLimitReached)
			})
			if err := w.do("probe"); Code(err) != 75 {
				t.Errorf("got the code %d", Code(err))
			}
			if e := w.event(t); e.ExitCode != 75 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestRefused_IsOnRecord and runs nothing.
func TestRefused_IsOnRecord(t *testing.T) {
	w := newWorld(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe"}})
	register(t, Spec{Name: "probe", Target: TargetNone}, func(context.Context, *Request) error {
		t.Error("it runs")
		return nil
	})
	err := w.Handler()(context.Background(), &Request{
		Login: "ann", Key: "key", Session: "c-1", Line: "probe", Refused: Exit(CodeTryLater, errors.New("too many")),
		Stdin: strings.NewReader(""), Stdout: &w.stdout, Stderr: &w.stderr, Signals: NewSignals(func(error) {}),
	})
	if Code(err) != 75 {
		t.Errorf("got %v", err)
	}
	if e := w.event(t); e.Decision != audit.Denied || e.ExitCode != 75 || e.Error != "too many" || e.Line != "probe" {
		t.Errorf("got %+v", e)
	}
}
