package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// fakeRuntime counts its calls and returns err from each.
type fakeRuntime struct {
	err            error
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

func (f *fakeRuntime) Log(_ context.Context, _ backends.TaskRef, _ backends.LogQuery,
	each func(backends.LogChunk) error,
) error {
	f.logs++
	return f.err
}

// fakeContainers is a fakeRuntime with a daemon on each node. Inspect counts its calls and returns inspectErr.
type fakeContainers struct {
	fakeRuntime
	inspectErr   error
	inspected    string // empty: {}
	inspects     int
	needsAddress bool
	addresses    []string // of the nodes of the programs
}

func (f *fakeContainers) Inspect(context.Context, backends.Node, string, string) (json.RawMessage, error) {
	f.inspects++
	return json.RawMessage(cmp.Or(f.inspected, "{}")), f.inspectErr
}

func (f *fakeContainers) NeedsAddress() bool { return f.needsAddress }

func (f *fakeContainers) Exec(ctx context.Context, in backends.TaskRef, p backends.Program) (int, error) {
	f.addresses = append(f.addresses, in.Node.Address)
	return f.fakeRuntime.Exec(ctx, in, p)
}

// fakeFiles is a runtime that keeps logs in files, as Nomad does.
type fakeFiles struct{ *fakeRuntime }

func (f fakeFiles) LogBefore(context.Context, backends.TaskRef, [2]backends.RetainedOutput, backends.LogQuery,
	func(backends.LogChunk) error,
) error {
	return f.err
}

// Allocation returns a driver for each of the tasks web, raw and pod.
func (c *fakeCluster) Allocation(context.Context, backends.Allocation) (backends.AllocationDetail, error) {
	return backends.AllocationDetail{Tasks: []backends.TaskDefinition{
		{Name: "web", Driver: "docker"}, {Name: "raw", Driver: "raw_exec"}, {Name: "pod", Driver: "podman"},
	}}, nil
}

func (c *fakeCluster) NodeAddress(context.Context, backends.Allocation) (string, error) {
	return "192.0.2.7", nil
}

// runtimeTable returns a table like that of a gateway. docker may be nil.
func runtimeTable(docker backends.ContainerRuntime, nomad backends.Runtime) []RuntimeEntry {
	table := []RuntimeEntry{{Name: "nomad", Title: "Nomad", Runtime: func(string) backends.Runtime { return nomad }}}
	if docker != nil {
		table = slices.Insert(table, 0, RuntimeEntry{
			Name: "docker", Title: "Docker", Drivers: []string{"docker"},
			Runtime: func(string) backends.Runtime { return docker },
		})
	}
	return table
}

// runtimeOfTask returns the runtime of a task that ann owns, and its scope.
func runtimeOfTask(w *testGateway, r *RuntimeSelector, task string) (TaskRuntime, *scopedCluster) {
	s := &scopedCluster{
		owned: acl.User{Groups: []acl.Group{{Prefixes: []string{"p-team1-"}, Rights: []string{"exec"}}}}.Scope("exec",
			w.Tiers),
		clusters: w.Clusters, event: &audit.Event{},
	}
	a := job("production", "default", "p-team1-web").Allocations[0]
	a.Name = "p-team1-web.app[0]"
	return r.forTask(s, a, task), s
}

func TestTaskRuntime_DockerDeclines(t *testing.T) {
	declined := fmt.Errorf("the docker daemon of node n answers 403 Forbidden: %w", backends.ErrDeclined)
	unsupported := fmt.Errorf("attach: %w through Nomad (needs Docker)", backends.ErrUnsupported)
	for name, c := range map[string]struct {
		only               string
		docker, inspectErr error
		nomad              error
		inDocker, inNomad  int
		code               int
		want               []error
	}{
		"serves":                     {"", nil, nil, nil, 1, 0, 7, nil},
		"declines":                   {"", declined, nil, nil, 1, 1, 7, nil},
		"declines, and Nomad cannot": {"", declined, nil, unsupported, 1, 1, 7, []error{declined, unsupported}},
		"declines to inspect":        {"", nil, declined, nil, 0, 1, 7, nil},
		"neither can":                {"", nil, declined, unsupported, 0, 1, 7, []error{declined, unsupported}},
		"fails":                      {"", errors.New("lost"), nil, nil, 1, 0, 7, nil},
		"loses its connection": {
			"", backends.ErrUnreachable, nil, nil, 1, 0, 7,
			[]error{backends.ErrUnreachable},
		},
		"declines, and is the only one": {"docker", declined, declined, nil, 1, 0, 7, []error{declined}},
	} {
		w := newTestGateway()
		docker := &fakeContainers{fakeRuntime: fakeRuntime{err: c.docker}, inspectErr: c.inspectErr}
		nomad := &fakeRuntime{err: c.nomad}
		r := &RuntimeSelector{Table: runtimeTable(docker, fakeFiles{nomad}), Only: c.only}
		for i, do := range []func(TaskRuntime) (int, error){
			func(r TaskRuntime) (int, error) { return r.Exec(t.Context(), backends.Program{}) },
			func(r TaskRuntime) (int, error) { return r.Attach(t.Context(), backends.Attachment{}) },
		} {
			task, _ := runtimeOfTask(w, r, "web")
			code, err := do(task)
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%s, %d: got %v, want it to wrap %v", name, i, err, want)
				}
			}
			if code != c.code || docker.programs != (i+1)*c.inDocker || nomad.programs != (i+1)*c.inNomad {
				t.Errorf("%s, %d: got %d, %d calls in Docker and %d in Nomad", name, i, code, docker.programs, nomad.programs)
			}
		}
		task, _ := runtimeOfTask(w, r, "web")
		task.Log(t.Context(), backends.LogQuery{}, func(backends.LogChunk) error { return nil })
		inFiles := c.inNomad
		if name == "fails" { // Docker's log may be damaged, so the gateway reads Nomad's files
			inFiles = 1
		}
		if docker.logs != c.inDocker || nomad.logs != inFiles {
			t.Errorf("%s: log: got %d reads from Docker and %d from Nomad", name, docker.logs, nomad.logs)
		}
	}
}

func TestTaskRuntime_RefusedDriver(t *testing.T) {
	for _, only := range []string{"", "docker", "nomad"} {
		w := newTestGateway()
		docker, nomad := &fakeContainers{}, &fakeRuntime{}
		r := &RuntimeSelector{Table: runtimeTable(docker, nomad), Only: only, RefusedDrivers: []string{"raw_exec"}}
		for task, want := range map[string]string{
			"raw":     "uses the driver raw_exec, and this gateway refuses exec and attach",
			"unknown": "is unknown, and this gateway refuses exec and attach for some drivers",
			"web":     "",
		} {
			for _, do := range []func(TaskRuntime) (int, error){
				func(r TaskRuntime) (int, error) { return r.Exec(t.Context(), backends.Program{}) },
				func(r TaskRuntime) (int, error) { return r.Attach(t.Context(), backends.Attachment{}) },
			} {
				docker.programs, nomad.programs = 0, 0
				runtime, s := runtimeOfTask(w, r, task)
				_, err := do(runtime)
				if run := docker.programs + nomad.programs; (err == nil) != (want == "") ||
					err != nil && !strings.Contains(err.Error(), want) || (run == 1) != (want == "") {
					t.Errorf("%q, %s: got %v, and %d programs", only, task, err, run)
				}
				if denied := s.event.Decision == audit.Denied; denied != (want != "") {
					t.Errorf("%q, %s: got the decision %q", only, task, s.event.Decision)
				}
			}
		}
	}
}

// TestTaskRuntime_UserQuota uses up a user's quota on one cluster, which the tiers production and backup share.
func TestTaskRuntime_UserQuota(t *testing.T) {
	w := newTestGateway()
	nomad := &fakeRuntime{}
	r := &RuntimeSelector{
		Table: runtimeTable(nil, nomad), Only: "nomad",
		ProgramQuota: NewQuota("programs", 1, nil), LogQuota: NewQuota("logs", 1, nil),
		ClusterOf: func(tier string) string {
			if tier == "backup" {
				return "production"
			}
			return tier
		},
	}
	runtimeIn := func(tier string) TaskRuntime {
		task, _ := runtimeOfTask(w, r, "web")
		task.(*boundRuntime).task.Allocation.Tier = tier
		return task
	}
	ann, bob := backends.WithUser(t.Context(), "ann"), backends.WithUser(t.Context(), "bob")
	releaseProgram, err := r.ProgramQuota.Acquire(ann, "production")
	if err != nil {
		t.Fatal(err)
	}
	releaseLog, err := r.LogQuota.Acquire(ann, "production")
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
			if err := f(ann, tier); !errors.Is(err, backends.ErrLimitReached) || ExitCode(err) != CodeTryLater {
				t.Errorf("%s in %s: got %v, code %d", name, tier, err, ExitCode(err))
			}
		}
		if err := f(ann, "test"); errors.Is(err, backends.ErrLimitReached) {
			t.Errorf("%s in another cluster: got %v", name, err)
		}
		if err := f(bob, "production"); err != nil {
			t.Errorf("%s of another user: got %v", name, err)
		}
	}
	releaseProgram()
	releaseLog()
	for name, f := range do { // again: each call has released its slot
		for range 2 {
			if err := f(ann, "production"); err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// TestLimitReached_Exits75 includes a command that runs a program, whose other errors have exit code 125.
func TestLimitReached_Exits75(t *testing.T) {
	for name, program := range map[string]bool{"a command": false, "a program": true} {
		t.Run(name, func(t *testing.T) {
			w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe"}})
			register(t, Spec{Name: "probe", Target: TargetNone, RunsProgram: program},
				func(ctx context.Context, _ *Request) error {
					if user := backends.UserOf(ctx); user != "ann" {
						t.Errorf("the context has the user %q, want ann", user)
					}
					return fmt.Errorf("%w: try again", backends.ErrLimitReached)
				})
			if err := w.run("probe"); ExitCode(err) != 75 {
				t.Errorf("got the code %d", ExitCode(err))
			}
			if e := w.event(t); e.ExitCode != 75 || e.Decision != audit.Failed {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestLimitErr_Recorded expects a failed event, and that nothing runs.
func TestLimitErr_Recorded(t *testing.T) {
	w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"probe"}})
	register(t, Spec{Name: "probe", Target: TargetNone}, func(context.Context, *Request) error {
		t.Error("it runs")
		return nil
	})
	err := w.Handler()(context.Background(), &Request{
		Session: Session{
			Login: "ann", Key: testKey, ID: "c-1", Line: "probe", Refusal: Exit(CodeTryLater, errors.New("too many")),
		},
		Console: w.console(),
	})
	if ExitCode(err) != 75 {
		t.Errorf("got %v", err)
	}
	if e := w.event(t); e.Decision != audit.Failed || e.ExitCode != 75 || e.Error != "too many" || e.Line != "probe" {
		t.Errorf("got %+v", e)
	}
}
