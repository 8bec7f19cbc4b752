package restart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// stoppableCluster is a cluster with one service that can be stopped and registered.
type stoppableCluster struct {
	backends.Cluster
	backends.ClusterWriter

	job   backends.JobDetail
	steps []string // the requests that change the job, and what they were called with

	checkErr, stopErr error
	isStopLost        bool                    // the stop is applied, and its response is lost
	afterStop         func(*stoppableCluster) // may be nil
	stopsAfter        time.Duration           // time that the allocations take to stop
	stopped           time.Time
	registerErr       error
	isBroken          bool // the registered job does not run
}

func newStoppableCluster() *stoppableCluster {
	job := newService(newAllocation(0))
	job.Root = "web"
	return &stoppableCluster{job: job}
}

func (s *stoppableCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	if s.job.Stopped && time.Since(s.stopped) >= s.stopsAfter {
		s.job.Allocations = nil
	}
	return s.job, nil
}

func (s *stoppableCluster) Definition(_ context.Context, _ backends.Job, version *uint64) (json.RawMessage, error) {
	number := s.job.Version
	if version != nil {
		number = *version
	}
	return json.RawMessage(fmt.Sprintf(`{"ID":"web","Version":%d,"JobModifyIndex":%d,"Stop":%v,"CreateIndex":1}`,
		number, s.job.ModifyIndex, s.job.Stopped)), nil
}

func (s *stoppableCluster) CheckRegister(context.Context, backends.Job, json.RawMessage) error {
	return s.checkErr
}

func (s *stoppableCluster) Stop(context.Context, backends.Job, bool) (backends.WriteResult, error) {
	s.steps = append(s.steps, "stop")
	if s.stopErr != nil && !s.isStopLost {
		return backends.WriteResult{}, s.stopErr
	}
	s.job.Stopped = true
	s.job.Version++
	s.job.ModifyIndex++
	result := backends.WriteResult{ModifyIndex: s.job.ModifyIndex}
	s.stopped = time.Now()
	if s.afterStop != nil {
		s.afterStop(s)
	}
	return result, s.stopErr
}

func (s *stoppableCluster) Register(
	_ context.Context, _ backends.Job, definition json.RawMessage, index uint64,
) (backends.WriteResult, error) {
	var of struct{ Version uint64 }
	_ = json.Unmarshal(definition, &of)
	s.steps = append(s.steps, fmt.Sprintf("register version %d at %d", of.Version, index))
	if s.registerErr != nil {
		return backends.WriteResult{}, s.registerErr
	}
	s.job.Stopped = false
	s.job.Version++
	s.job.ModifyIndex++
	started := newAllocation(5, func(a *backends.Allocation) { a.Version = s.job.Version })
	if s.isBroken {
		started.Status, started.Created = "failed", time.Now()
	}
	s.job.Allocations = []backends.Allocation{started}
	return backends.WriteResult{ModifyIndex: s.job.ModifyIndex}, nil
}

// operation starts an operation with a directory for saved definitions, or without one.
func (s *stoppableCluster) operation(t *testing.T, folder string) ops.Operation {
	t.Helper()
	registry, _ := ops.Open(folder, ops.Key{1})
	op, err := registry.Start(s.job.Ref(), "wim", "restart --full web")
	if err != nil {
		t.Fatal(err)
	}
	return ops.Operation{Op: op, Cluster: s, Writer: s}
}

func TestRestartFull_StopsAndRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.stopsAfter = 10 * time.Second
		op := s.operation(t, t.TempDir())
		start := time.Now()
		if err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), op); err != nil {
			t.Error(err)
		}
		if want := []string{"stop", "register version 3 at 8"}; !slices.Equal(s.steps, want) {
			t.Errorf("requested %q, want %q", s.steps, want)
		}
		if want := []string{
			"stopping web at version 3", "registered web again",
			"restarted web",
		}; !slices.Equal(notes(op), want) {
			t.Errorf("got the notes %q, want %q", notes(op), want)
		}
		if took := time.Since(start); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("after %s, want the time of the stop", took)
		}
		if _, err := os.Stat(op.DefinitionPath()); err == nil {
			t.Error("the definition is still saved")
		}
	})
}

func TestRestartFull_RefusesBeforeStop(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*stoppableCluster, ops.Operation)
		folder  bool
		want    string // start of the error
	}{
		"definition rejected": {
			func(s *stoppableCluster, _ ops.Operation) { s.checkErr = errPermission }, true,
			"web was not stopped, because it could not be registered again: Permission denied",
		},
		"halted": {
			func(_ *stoppableCluster, op ops.Operation) { op.Halt("cancelled by wim") }, true,
			"web was not stopped: cancelled by wim",
		},
		"changed": {
			func(s *stoppableCluster, _ ops.Operation) { s.job.ModifyIndex, s.job.Version = 8, 4 }, true,
			"web was changed by somebody else and is now at version 4; nothing was done",
		},
		"stopped elsewhere": {
			func(s *stoppableCluster, _ ops.Operation) {
				s.job.Stopped, s.job.ModifyIndex, s.job.Version = true, 8, 4
			}, true,
			"web was changed by somebody else and is now at version 4; nothing was done",
		},
		"no directory": {
			func(*stoppableCluster, ops.Operation) {}, false,
			"the gateway has no directory for job definitions, so restart --full is refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStoppableCluster()
			folder := ""
			if tc.folder {
				folder = t.TempDir()
			}
			op := s.operation(t, folder)
			job := s.job
			tc.prepare(s, op)
			err := (&Full{Job: job, Timeout: time.Minute}).Run(t.Context(), op)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) || len(s.steps) > 0 {
				t.Errorf("got %v after %q, want %q", err, s.steps, tc.want)
			}
		})
	}
}

func TestRestartFull_StopFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.stopErr = errPermission
		op := s.operation(t, t.TempDir())
		err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), op)
		if err == nil || err.Error() != "web was not stopped: Permission denied" || len(s.steps) != 1 {
			t.Errorf("got %v after %q", err, s.steps)
		}
		if _, err := os.Stat(op.DefinitionPath()); err == nil {
			t.Error("the definition is still saved")
		}
	})
}

func TestRestartFull_StopResponseLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.stopErr, s.isStopLost = backends.ErrOutcomeUnknown, true
		err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), s.operation(t, t.TempDir()))
		if want := []string{"stop", "register version 3 at 8"}; err != nil || !slices.Equal(s.steps, want) {
			t.Errorf("got %v after %q, want %q", err, s.steps, want)
		}
	})
}

func TestRestartFull_JobStoppedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.afterStop = func(s *stoppableCluster) { // somebody else registers it and stops it again
			s.job.Version += 2
			s.job.ModifyIndex += 2
		}
		op := s.operation(t, t.TempDir())
		err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), op)
		const want = "web stays stopped, because somebody else stopped it too during this restart (bring it back: start web)"
		if err == nil || err.Error() != want || len(s.steps) != 1 {
			t.Errorf("got %v after %q, want %q", err, s.steps, want)
		}
		if _, err := os.Stat(op.DefinitionPath()); err == nil {
			t.Error("the definition is still saved")
		}
	})
}

// TestRestartFull_ChangedBeforeStop checks a job that somebody changed between the reading of its definition and the
// stop. The newer version is registered.
func TestRestartFull_ChangedBeforeStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		op := s.operation(t, t.TempDir())
		full := &Full{Job: s.job, Timeout: time.Minute}
		op.Writer = lateChange{s}
		if err := full.Run(t.Context(), op); err != nil {
			t.Error(err)
		}
		if want := []string{"stop", "register version 4 at 9"}; !slices.Equal(s.steps, want) {
			t.Errorf("requested %q, want %q", s.steps, want)
		}
		if got := notes(op); len(got) == 0 || got[0] != "web was changed during this restart; registering version 4 again" {
			t.Errorf("got the notes %q", got)
		}
	})
}

// lateChange changes the job just before it is stopped.
type lateChange struct{ *stoppableCluster }

func (l lateChange) Stop(ctx context.Context, job backends.Job, purge bool) (backends.WriteResult, error) {
	l.job.Version++
	l.job.ModifyIndex++
	return l.stoppableCluster.Stop(ctx, job, purge)
}

func TestRestartFull_AllocationsKeepRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.stopsAfter = time.Hour
		op := s.operation(t, t.TempDir())
		if err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), op); err != nil {
			t.Error(err)
		}
		want := "some allocations of web are still running (timed out); registering it again anyway"
		if got := notes(op); !slices.Contains(got, want) {
			t.Errorf("got the notes %q without %q", got, want)
		}
	})
}

func TestRestartFull_NotRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoppableCluster()
		s.registerErr = errNoLeader
		op := s.operation(t, t.TempDir())
		err := (&Full{Job: s.job, Timeout: time.Minute}).Run(t.Context(), op)
		want := "web may be stopped and could not be registered again: No cluster leader (bring it back: ops --restore " +
			op.ID + ")"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := os.Stat(op.DefinitionPath()); err != nil {
			t.Errorf("the definition is not saved: %v", err)
		}
		if got := notes(op); !strings.Contains(got[len(got)-1], `"JobModifyIndex":7`) &&
			!strings.Contains(got[len(got)-1], `"JobModifyIndex": 7`) {
			t.Errorf("got the notes %q without the definition", got)
		}
	})
}

func TestRestartFull_NotConfirmedRunning(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*stoppableCluster, ops.Operation)
		want    string
	}{
		"fails": {func(s *stoppableCluster, _ ops.Operation) { s.isBroken = true }, "allocation 55555555 of web has failed"},
		"halted": {func(s *stoppableCluster, op ops.Operation) {
			s.afterStop = func(*stoppableCluster) { op.Halt("the client disconnected") }
			s.isBroken = true
			s.job.Evaluations = []backends.Evaluation{{Status: "pending"}}
		}, "the client disconnected"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStoppableCluster()
				op := s.operation(t, t.TempDir())
				job := s.job
				tc.prepare(s, op)
				err := (&Full{Job: job, Timeout: time.Minute}).Run(t.Context(), op)
				if err == nil || !strings.HasPrefix(err.Error(),
					"web was registered again, but is not confirmed running: "+tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if len(s.steps) != 2 {
					t.Errorf("requested %q: a job that was stopped is always registered again", s.steps)
				}
			})
		})
	}
}

func TestRestoreIndex(t *testing.T) {
	const original = `{"ID":"web","Version":3,"JobModifyIndex":7,"CreateIndex":1,"TaskGroups":[{"Name":"web",` +
		`"ReschedulePolicy":{"Attempts":0}}]}`
	at := func(version, index, created uint64, stop bool) string {
		return fmt.Sprintf(`{"ID":"web","Version":%d,"JobModifyIndex":%d,"CreateIndex":%d,"Stop":%v,"TaskGroups":`+
			`[{"Name":"web","ReschedulePolicy":{"Attempts":0}}]}`, version, index, created, stop)
	}
	variant, err := backends.WithRescheduling(json.RawMessage(at(4, 8, 1, false)), map[string]bool{"web": true})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		now        string
		index      uint64
		want       string // start of the error; empty: none
		notStopped bool
	}{
		"stopped":          {at(4, 8, 1, true), 8, "", false},
		"one attempt":      {string(variant), 8, "", false},
		"deleted":          {"deleted", 0, "", false},
		"never stopped":    {at(3, 7, 1, false), 0, "web is not stopped: it is still at version 3", true},
		"registered again": {at(5, 9, 1, false), 0, "web was already registered again, as version 5", true},
		"changed, stopped": {
			at(6, 10, 1, true), 0,
			"the saved definition of web is version 3, but the job was changed to version 6", false,
		},
		"purged, running": {
			at(0, 50, 50, false), 0,
			"the saved definition of web is of a job that was purged; another job with its name is running", false,
		},
		"purged, stopped": {
			at(1, 51, 50, true), 0,
			"the saved definition of web is of a job that was purged; another job with its name is stopped " +
				"(start that job: start web;", false,
		},
		"cluster is silent": {"", 0, "No cluster leader", false},
		"cannot be read":    {"[]", 0, "the definition cannot be read", false},
	} {
		t.Run(name, func(t *testing.T) {
			saved := ops.SavedDefinition{ID: "0a0a0a0a", Version: 3, Definition: json.RawMessage(original)}
			index, err := RestoreIndex(t.Context(), &definitionsCluster{all: []string{tc.now}}, backends.Job{ID: "web"}, saved)
			if index != tc.index || (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %d, %v, want %d, %q", index, err, tc.index, tc.want)
			}
			var notStopped NotStoppedError
			if errors.As(err, &notStopped) != tc.notStopped {
				t.Errorf("got %T: a NotStoppedError deletes the saved definition", err)
			}
		})
	}
}
