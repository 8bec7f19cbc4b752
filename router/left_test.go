package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// killing is a runtime in which programs are killed.
type killing struct {
	backends.Runtime
	running map[string]bool // sessions
	errs    []error         // of the next calls
	asked   []string
}

func (k *killing) Kill(_ context.Context, in backends.Place, session string) (bool, error) {
	k.asked = append(k.asked, fmt.Sprintf("%s/%s %s", in.Allocation.ID, in.Task, session))
	if len(k.errs) > 0 {
		err := k.errs[0]
		k.errs = k.errs[1:]
		return false, err
	}
	found := k.running[session]
	delete(k.running, session)
	return found, nil
}

// answering is a cluster that knows its allocations too.
type answering struct{ *cluster }

func (answering) Allocation(context.Context, backends.Allocation) (backends.AllocationDetail, error) {
	return backends.AllocationDetail{Drivers: map[string]string{"web": "docker"}}, nil
}

func TestKillLeft(t *testing.T) {
	for _, tc := range []struct {
		name    string
		tier    string
		status  string // of the allocation; empty: there is none
		running bool
		errs    []error
		jobsErr error
		want    audit.Kind // empty: none
		logged  string
		tries   int
	}{
		{name: "running", status: "running", running: true, want: audit.Killed, logged: "killed a program", tries: 1},
		{name: "exited", status: "running", want: audit.Exited, tries: 1},
		{name: "task stopped", status: "running", errs: []error{backends.ErrNoTask}, want: audit.Exited, tries: 1},
		{name: "allocation stopped", status: "complete", running: true, want: audit.Exited},
		{name: "allocation collected", running: true, want: audit.Exited},
		{
			name: "cluster comes back", status: "running", running: true, errs: []error{backends.ErrUnreachable, backends.ErrUnreachable},
			want: audit.Killed, logged: "trying again", tries: 3,
		},
		{name: "cluster is down", status: "running", running: true, jobsErr: backends.ErrUnreachable, logged: "trying again"},
		{name: "node is disconnected", status: "unknown", running: true, logged: "its node is disconnected"},
		{name: "no shell", status: "running", errs: []error{backends.ErrUnsupported}, logged: "may still be running", tries: 1},
		{name: "tier removed", tier: "old", status: "running", logged: "no tier old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var log strings.Builder
				w.Log = slog.New(slog.NewTextHandler(&log, nil))
				w.Clusters["production"] = backends.Share(answering{w.production})
				runtime := &killing{running: map[string]bool{"c-1.": tc.running, "c-2.": true}, errs: tc.errs}
				w.Runtimes = &Runtimes{Nomad: map[string]backends.Runtime{"production": runtime}, Way: WithNomad}
				if tc.status != "" {
					one := job("production", "default", "p-team1-web")
					one.Allocations[0].Status = tc.status
					w.production.jobs = []backends.Job{one, job("production", "default", "p-team1-web2")}
				}
				w.production.err = tc.jobsErr
				start := audit.Event{
					Kind: audit.Start, Time: time.Now(), Connection: "c", Session: "c-1", User: "ann", Key: "k", Remote: "r", Line: "exec web sh",
					Command: []string{"exec", "web", "sh"}, Tier: "production", Namespace: "default", Job: "p-team1-web",
					Allocation: "alloc of p-team1-web", Task: "web", Program: "c-1.", Decision: audit.Allowed,
				}
				if tc.tier != "" {
					start.Tier = tc.tier
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				w.KillLeft(ctx, []audit.Event{start})
				events := w.allEvents(t)
				if tc.want == "" {
					if len(events) > 0 {
						t.Errorf("got %+v, want no event", events)
					}
				} else if want := start; len(events) != 1 || events[0].Kind != tc.want || events[0].Session != want.Session ||
					events[0].User != "ann" || events[0].Allocation != want.Allocation || events[0].Decision != "" || events[0].Line != want.Line {
					t.Errorf("got %+v, want one event %s", events, tc.want)
				}
				if !strings.Contains(log.String(), tc.logged) || tc.logged == "" && log.Len() > 0 || strings.Count(log.String(), "trying again") > 1 {
					t.Errorf("got the log %q, want %q once", log.String(), tc.logged)
				}
				if len(runtime.asked) != tc.tries {
					t.Errorf("got %q, want %d calls", runtime.asked, tc.tries)
				}
				for _, asked := range runtime.asked {
					if asked != "alloc of p-team1-web/web c-1." {
						t.Errorf("got %q", asked)
					}
				}
				if !runtime.running["c-2."] {
					t.Error("another program was killed")
				}
			})
		})
	}
}

func TestKillLeft_PanicFailsOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var log strings.Builder
		w.Log = slog.New(slog.NewTextHandler(&log, nil))
		w.production.panics = true
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("over"))
		defer stop()
		w.KillLeft(ctx, []audit.Event{{Tier: "production", Job: "p-x", Program: "c-1."}})
		if !strings.Contains(log.String(), "internal error") {
			t.Errorf("got the log %q", log.String())
		}
	})
}
