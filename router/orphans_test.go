package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
)

// fakeKiller is a runtime that kills programs.
type fakeKiller struct {
	backends.Runtime
	running map[string]bool // sessions
	errs    []error         // of the next calls
	finds   bool            // the next call finds the program although it returns an error
	calls   []string
}

func (k *fakeKiller) Kill(_ context.Context, in backends.TaskRef, session string) (bool, error) {
	k.calls = append(k.calls, fmt.Sprintf("%s/%s %s", in.Allocation.ID, in.Task, session))
	if len(k.errs) > 0 {
		err := k.errs[0]
		k.errs = k.errs[1:]
		found := k.finds
		if k.finds = false; found {
			delete(k.running, session)
		}
		return found, err
	}
	found := k.running[session]
	delete(k.running, session)
	return found, nil
}

func TestKillOrphans(t *testing.T) {
	for _, tc := range []struct {
		name    string
		tier    string
		status  string // of the allocation; empty: there is none
		running bool
		errs    []error
		finds   bool // the first call finds the program although it returns an error
		jobsErr error
		want    audit.Kind // empty: no event
		logged  string
		tries   int
	}{
		{name: "running", status: "running", running: true, want: audit.Killed, logged: "killed a program", tries: 1},
		{name: "exited", status: "running", want: audit.Exited, tries: 1},
		{name: "task stopped", status: "running", errs: []error{backends.ErrTaskNotRunning}, want: audit.Exited, tries: 1},
		{name: "allocation stopped", status: "complete", running: true, want: audit.Exited},
		{name: "allocation collected", running: true, want: audit.Exited},
		{
			name: "cluster comes back", status: "running", running: true,
			errs: []error{backends.ErrUnreachable, backends.ErrUnreachable},
			want: audit.Killed, logged: "trying again", tries: 3,
		},
		{name: "cluster is down", status: "running", running: true, jobsErr: backends.ErrUnreachable, logged: "trying again"},
		{name: "node is disconnected", status: "unknown", running: true, logged: "its node is disconnected"},
		{name: "node is down", status: "lost", running: true, logged: "may still be running"},
		{
			name: "exits after an error", status: "running", running: true, errs: []error{backends.ErrUnreachable}, finds: true,
			want: audit.Killed, logged: "trying again", tries: 2,
		},
		{
			name: "no shell", status: "running", errs: []error{backends.ErrUnsupported}, logged: "may still be running",
			tries: 1,
		},
		{name: "tier removed", tier: "old", status: "running", logged: "tier old is no longer in the configuration"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestGateway()
				var log strings.Builder
				w.Log = slog.New(slog.NewTextHandler(&log, nil))
				w.Clusters["production"] = clusterview.New(w.production)
				runtime := &fakeKiller{running: map[string]bool{"c-1.": tc.running, "c-2.": true}, errs: tc.errs, finds: tc.finds}
				w.Runtimes = &RuntimeSelector{Table: runtimeTable(nil, runtime), Only: "nomad"}
				if tc.status != "" {
					one := job("production", "default", "p-team1-web")
					one.Allocations[0].Status = tc.status
					w.production.jobs = []backends.Job{one, job("production", "default", "p-team1-web2")}
				}
				w.production.err = tc.jobsErr
				start := audit.Event{
					Kind: audit.Start, Time: time.Now(), Connection: "c", Session: "c-1", User: "ann", Key: "k", Remote: "r",
					Line:    "exec web sh",
					Command: []string{"exec", "web", "sh"}, Tier: "production", Namespace: "default", Job: "p-team1-web",
					Allocation: "alloc of p-team1-web", Task: "web", Program: "c-1.", Decision: audit.Allowed,
				}
				if tc.tier != "" {
					start.Tier = tc.tier
				}
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Hour)
				defer stop()
				KillOrphans(ctx, []audit.Event{start}, func() Gateway { return w.Gateway })
				events := w.allEvents(t)
				if tc.want == "" {
					if len(events) > 0 {
						t.Errorf("got %+v, want no event", events)
					}
				} else if want := start; len(events) != 1 || events[0].Kind != tc.want || events[0].Session != want.Session ||
					events[0].User != "ann" || events[0].Allocation != want.Allocation || events[0].Decision != "" ||
					events[0].Line != want.Line {
					t.Errorf("got %+v, want one event %s", events, tc.want)
				}
				if !strings.Contains(log.String(), tc.logged) || tc.logged == "" && log.Len() > 0 ||
					strings.Count(log.String(), "trying again") > 1 {
					t.Errorf("got the log %q, want %q once", log.String(), tc.logged)
				}
				if len(runtime.calls) != tc.tries {
					t.Errorf("got %q, want %d calls", runtime.calls, tc.tries)
				}
				for _, calls := range runtime.calls {
					if calls != "alloc of p-team1-web/web c-1." {
						t.Errorf("got %q", calls)
					}
				}
				if !runtime.running["c-2."] {
					t.Error("another program was killed")
				}
			})
		})
	}
}

// orphanEvent returns a start event of a program in the task of newOrphanGateway.
func orphanEvent() audit.Event {
	return audit.Event{
		Kind: audit.Start, Session: "c-1", Program: "c-1.", Line: "exec web sh", Tier: "production", Namespace: "default",
		Job:        "p-team1-web",
		Allocation: "alloc of p-team1-web", Task: "web",
	}
}

// dockerKiller is a Docker runtime that kills programs.
type dockerKiller struct {
	*fakeContainers
	*fakeKiller
	respondsFrom time.Time // zero: never responds
}

func (k dockerKiller) Inspect(ctx context.Context, node backends.Node, task,
	allocation string,
) (json.RawMessage, error) {
	if !k.respondsFrom.IsZero() && !time.Now().Before(k.respondsFrom) {
		return nil, nil
	}
	return k.fakeContainers.Inspect(ctx, node, task, allocation)
}

func (k dockerKiller) Exec(context.Context, backends.TaskRef, backends.Program) (int, error) {
	panic("exec")
}

func (k dockerKiller) Attach(context.Context, backends.TaskRef, backends.Attachment) (int, error) {
	panic("attach")
}

func (k dockerKiller) Log(context.Context, backends.TaskRef, backends.LogQuery, func(backends.LogChunk) error) error {
	panic("log")
}

func newOrphanGateway() (*testGateway, *strings.Builder) {
	w := newTestGateway()
	var log strings.Builder
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	one := job("production", "default", "p-team1-web")
	one.Allocations[0].Status = "running"
	w.production.jobs = []backends.Job{one}
	return w, &log
}

func TestKillOrphans_DockerAndNomad(t *testing.T) {
	declined := fmt.Errorf("403 Forbidden: %w", backends.ErrDeclined)
	for _, tc := range []struct {
		name               string
		inspectErr         error // of Docker, for the first 10 minutes
		inspectAlwaysFails bool
		inDocker           bool // the program runs in Docker
		inNomad            bool
		dockerErr          error  // of its first Kill
		nomadErr           error  // of Nomad's first Kill
		only               string // RuntimeSelector.Only
		want               audit.Kind
		logged             string
		minTime, maxTime   time.Duration
	}{
		{name: "in Docker", inDocker: true, want: audit.Killed, logged: "killed a program"},
		{name: "in Nomad", inNomad: true, want: audit.Killed, logged: "killed a program"},
		{name: "in neither", want: audit.Exited},
		{
			name: "in Docker, which is down at first", inspectErr: backends.ErrUnreachable, inDocker: true, want: audit.Killed,
			logged: "trying again", minTime: 10 * time.Minute, maxTime: 20 * time.Minute,
		},
		{
			name: "in Nomad, without Docker", inspectErr: backends.ErrUnreachable, inspectAlwaysFails: true, inNomad: true,
			want: audit.Killed, logged: "killed a program",
		},
		{
			name: "in neither, without Docker", inspectErr: backends.ErrUnreachable, inspectAlwaysFails: true,
			logged: "may still be running", minTime: unconfirmedExitTimeout, maxTime: unconfirmedExitTimeout + maxKillBackoff,
		},
		{
			name: "in neither, and Docker declines to inspect", inspectErr: declined, inspectAlwaysFails: true,
			want: audit.Exited,
		},
		{
			name: "task stopped, without Docker", inspectErr: backends.ErrUnreachable, inspectAlwaysFails: true,
			nomadErr: backends.ErrTaskNotRunning, want: audit.Exited,
		},
		{
			name: "Docker alone, which declines at first", only: "docker", inDocker: true, dockerErr: declined,
			want: audit.Killed, logged: "trying again", minTime: minKillBackoff, maxTime: minKillBackoff,
		},
		{name: "in neither, and Docker declines to kill", dockerErr: declined, want: audit.Exited},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, log := newOrphanGateway()
				docker := dockerKiller{
					&fakeContainers{inspectErr: tc.inspectErr},
					&fakeKiller{running: map[string]bool{"c-1.": tc.inDocker}},
					time.Time{},
				}
				if !tc.inspectAlwaysFails {
					docker.respondsFrom = time.Now().Add(10 * time.Minute)
				}
				if tc.dockerErr != nil {
					docker.errs = []error{tc.dockerErr}
				}
				nomad := &fakeKiller{running: map[string]bool{"c-1.": tc.inNomad}}
				if tc.nomadErr != nil {
					nomad.errs = []error{tc.nomadErr}
				}
				w.Runtimes = &RuntimeSelector{Table: runtimeTable(docker, nomad), Only: tc.only}
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Hour)
				defer stop()
				started := time.Now()
				KillOrphans(ctx, []audit.Event{orphanEvent()}, func() Gateway { return w.Gateway })
				if took := time.Since(started); took < tc.minTime || took > tc.maxTime {
					t.Errorf("returned after %s, want %s to %s", took, tc.minTime, tc.maxTime)
				}
				events := w.allEvents(t)
				if tc.want == "" && len(events) > 0 || tc.want != "" && (len(events) != 1 || events[0].Kind != tc.want) {
					t.Errorf("got %+v, want %q", events, tc.want)
				}
				if !strings.Contains(log.String(), tc.logged) || tc.logged == "" && log.Len() > 0 {
					t.Errorf("got the log %q, want %q", log.String(), tc.logged)
				}
			})
		})
	}
}

// stoppingKiller kills a program while the gateway shuts down.
type stoppingKiller struct {
	backends.Runtime
	stop func()
}

func (k stoppingKiller) Kill(context.Context, backends.TaskRef, string) (bool, error) {
	k.stop()
	return true, nil
}

func TestKillOrphans_GatewayStops(t *testing.T) {
	w, _ := newOrphanGateway()
	ctx, stop := context.WithCancel(t.Context())
	w.Runtimes = &RuntimeSelector{Table: runtimeTable(nil, stoppingKiller{stop: stop}), Only: "nomad"}
	KillOrphans(ctx, []audit.Event{orphanEvent()}, func() Gateway { return w.Gateway })
	if events := w.allEvents(t); len(events) != 1 || events[0].Kind != audit.Killed {
		t.Errorf("got %+v, want one event %s", events, audit.Killed)
	}
}

func TestKillOrphans_PanicRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestGateway()
		var log strings.Builder
		w.Log = slog.New(slog.NewTextHandler(&log, nil))
		w.production.panics = true
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("over"))
		defer stop()
		orphan := audit.Event{Tier: "production", Job: "p-x", Program: "c-1."}
		KillOrphans(ctx, []audit.Event{orphan}, func() Gateway { return w.Gateway })
		if !strings.Contains(log.String(), "internal error") {
			t.Errorf("got the log %q", log.String())
		}
	})
}
