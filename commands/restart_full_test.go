package commands

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// Tests of the ends of restart --full that take minutes, in the time of a bubble.

// fakeCluster is a cluster that answers what it is told to.
type fakeCluster struct {
	backends.Cluster
	backends.ClusterWriter
	job      func(asked int) (backends.JobDetail, error)
	register func(asked int, index uint64) error
	calls    int
}

func (s *fakeCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	s.calls++
	return s.job(s.calls)
}

func (s *fakeCluster) Register(_ context.Context, _ backends.Job, _ json.RawMessage, index uint64) (backends.WriteResult, error) {
	s.calls++
	return backends.WriteResult{}, s.register(s.calls, index)
}

func (s *fakeCluster) work(t *testing.T) router.Work {
	t.Helper()
	registry, _ := ops.Open(t.TempDir(), ops.Key{1})
	op, err := registry.Start(ops.Job{ID: "web", Root: "web"}, "wim", "restart --full web")
	if err != nil {
		t.Fatal(err)
	}
	return router.NewWork(op, registry, s, s)
}

var (
	errNoLeader   = errors.New("No cluster leader")
	errPermission = errors.New("Permission denied")
	errChanged    = &backends.ChangedError{Job: "web", Version: 9}
)

func TestRegisterAgain_RetriesUntilTimeout(t *testing.T) {
	for name, tc := range map[string]struct {
		register func(asked int, index uint64) error
		want     error
		least    time.Duration
		most     time.Duration
	}{
		"at once":    {func(int, uint64) error { return nil }, nil, 0, 0},
		"never":      {func(int, uint64) error { return errNoLeader }, errNoLeader, recoveryTimeout, recoveryTimeout + 2*recoveryInterval},
		"never, 403": {func(int, uint64) error { return errPermission }, errPermission, recoveryTimeout, recoveryTimeout + 2*recoveryInterval},
		"in the end": {func(asked int, _ uint64) error {
			if asked < 50 {
				return errNoLeader
			}
			return nil
		}, nil, 49 * recoveryInterval, 49 * recoveryInterval},
		"changed": {func(int, uint64) error { return errChanged }, errChanged, 0, 0},
		"collected meanwhile": {func(_ int, index uint64) error {
			if index != 0 {
				return backends.ErrNotFound
			}
			return nil
		}, nil, recoveryInterval, recoveryInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeCluster{register: tc.register}
				begun := time.Now()
				_, err := registerAgain(t.Context(), s.work(t), backends.Job{ID: "web"}, json.RawMessage("{}"), 7, true)
				if took := time.Since(begun); !errors.Is(err, tc.want) || took < tc.least || took > tc.most {
					t.Errorf("got %v after %s, want %v after %s", err, took, tc.want, tc.least)
				}
			})
		})
	}
}

// TestRegisterAgain_PurgedWhileRunning is about a job that only a purge can have deleted.
func TestRegisterAgain_PurgedWhileRunning(t *testing.T) {
	s := &fakeCluster{register: func(_ int, index uint64) error {
		if index != 0 {
			return backends.ErrNotFound
		}
		return nil
	}}
	if _, err := registerAgain(t.Context(), s.work(t), backends.Job{ID: "web"}, json.RawMessage("{}"), 7, false); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("got %v, want that the job was deleted", err)
	}
}

func TestConfirmStopped(t *testing.T) {
	is := func(stopped bool, index uint64) func(int) (backends.JobDetail, error) {
		return func(int) (backends.JobDetail, error) {
			var job backends.JobDetail
			job.ID, job.Stopped, job.ModifyIndex, job.Version = "web", stopped, index, index
			return job, nil
		}
	}
	away := func(int) (backends.JobDetail, error) { return backends.JobDetail{}, errNoLeader }
	gone := func(int) (backends.JobDetail, error) { return backends.JobDetail{}, backends.ErrNotFound }
	lost := backends.ErrOutcomeUnknown
	for name, tc := range map[string]struct {
		failed error // what became of the order
		job    func(int) (backends.JobDetail, error)
		want   string // "": it is stopped
		after  time.Duration
	}{
		"stopped":                           {nil, is(true, 8), "", 0},
		"collected":                         {nil, gone, "", 0},
		"stopped, the answer was lost":      {lost, is(true, 8), "", 0},
		"stopped by somebody else":          {errPermission, is(true, 8), "Permission denied", 0},
		"purged by somebody else":           {errPermission, gone, backends.ErrNotFound.Error(), 0},
		"refused":                           {errPermission, is(false, 7), "web is not stopped: Permission denied", 0},
		"changed before":                    {errPermission, is(false, 8), "web was changed by someone else (now version 8)", 0},
		"brought back since":                {nil, is(false, 9), "web was stopped by this restart, and somebody else has brought it back already, as version 9", 0},
		"not taken, as far as can be known": {lost, is(false, 7), "web is not stopped: ", lateRequestGrace},
		"no answer":                         {lost, away, errStopUnknown.Error(), recoveryTimeout},
		"no answer after it was taken":      {nil, away, errStopUnknown.Error(), recoveryTimeout},
		"a late answer": {lost, func(asked int) (backends.JobDetail, error) {
			if asked < 20 {
				return away(asked)
			}
			return is(true, 8)(asked)
		}, "", 19 * recoveryInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeCluster{job: tc.job}
				before, _ := is(false, 7)(0)
				begun := time.Now()
				_, err := confirmStopped(t.Context(), s.work(t), before, tc.failed)
				took := time.Since(begun)
				if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took < tc.after || took > tc.after+2*recoveryInterval {
					t.Errorf("after %s, want %s", took, tc.after)
				}
			})
		})
	}
}
