package restart

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
)

// These tests check outcomes of restart --full that take minutes. They run in simulated time.

// fakeCluster is a cluster that responds with its functions. They get the number of calls.
type fakeCluster struct {
	backends.Cluster
	backends.ClusterWriter
	job      func(calls int) (backends.JobDetail, error)
	register func(calls int, index uint64) error
	calls    int
}

func (s *fakeCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	s.calls++
	return s.job(s.calls)
}

func (s *fakeCluster) Register(
	_ context.Context, _ backends.Job, _ json.RawMessage, index uint64,
) (backends.WriteResult, error) {
	s.calls++
	return backends.WriteResult{}, s.register(s.calls, index)
}

func (s *fakeCluster) operation(t *testing.T) ops.Operation {
	t.Helper()
	registry, _ := ops.Open(t.TempDir(), ops.Key{1})
	op, err := registry.Start(backends.JobRef{ID: "web", Root: "web"}, "wim", "restart --full web")
	if err != nil {
		t.Fatal(err)
	}
	return ops.Operation{Op: op, Cluster: s, Writer: s}
}

var (
	errNoLeader   = errors.New("No cluster leader")
	errPermission = errors.New("Permission denied")
	errChanged    = &backends.ChangedError{Job: "web", Version: 9}
)

func TestRegisterAgain_RetriesUntilTimeout(t *testing.T) {
	for name, tc := range map[string]struct {
		register func(calls int, index uint64) error
		want     error
		minTime  time.Duration
		maxTime  time.Duration
	}{
		"at once": {func(int, uint64) error { return nil }, nil, 0, 0},
		"never": {
			func(int, uint64) error { return errNoLeader }, errNoLeader, recoveryTimeout,
			recoveryTimeout + 2*recoveryInterval,
		},
		"permission denied": {
			func(int, uint64) error { return errPermission }, errPermission, recoveryTimeout,
			recoveryTimeout + 2*recoveryInterval,
		},
		"later": {func(calls int, _ uint64) error {
			if calls < 50 {
				return errNoLeader
			}
			return nil
		}, nil, 49 * recoveryInterval, 49 * recoveryInterval},
		"changed": {func(int, uint64) error { return errChanged }, errChanged, 0, 0},
		"garbage-collected": {func(_ int, index uint64) error {
			if index != 0 {
				return backends.ErrNotFound
			}
			return nil
		}, nil, recoveryInterval, recoveryInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeCluster{register: tc.register}
				start := time.Now()
				_, err := registerAgain(t.Context(), s.operation(t), backends.Job{ID: "web"}, json.RawMessage("{}"), 7, true)
				if took := time.Since(start); !errors.Is(err, tc.want) || took < tc.minTime || took > tc.maxTime {
					t.Errorf("got %v after %s, want %v after %s", err, took, tc.want, tc.minTime)
				}
			})
		})
	}
}

// TestRegisterAgain_PurgedWhileRunning checks a running job, which only a purge can have deleted.
func TestRegisterAgain_PurgedWhileRunning(t *testing.T) {
	s := &fakeCluster{register: func(_ int, index uint64) error {
		if index != 0 {
			return backends.ErrNotFound
		}
		return nil
	}}
	if _, err := registerAgain(t.Context(), s.operation(t), backends.Job{ID: "web"}, json.RawMessage("{}"), 7,
		false); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestConfirmStopped(t *testing.T) {
	job := func(stopped bool, index uint64) func(int) (backends.JobDetail, error) {
		return func(int) (backends.JobDetail, error) {
			var job backends.JobDetail
			job.ID, job.Stopped, job.ModifyIndex, job.Version = "web", stopped, index, index
			return job, nil
		}
	}
	noLeader := func(int) (backends.JobDetail, error) { return backends.JobDetail{}, errNoLeader }
	deleted := func(int) (backends.JobDetail, error) { return backends.JobDetail{}, backends.ErrNotFound }
	lost := backends.ErrOutcomeUnknown
	for name, tc := range map[string]struct {
		failed error // the error of the stop request
		job    func(int) (backends.JobDetail, error)
		want   string // prefix of the error; "": stopped
		after  time.Duration
	}{
		"stopped":                  {nil, job(true, 8), "", 0},
		"garbage-collected":        {nil, deleted, "", 0},
		"stopped, response lost":   {lost, job(true, 8), "", 0},
		"stopped by somebody else": {errPermission, job(true, 8), "Permission denied", 0},
		"purged by somebody else":  {errPermission, deleted, backends.ErrNotFound.Error(), 0},
		"rejected":                 {errPermission, job(false, 7), "web was not stopped: Permission denied", 0},
		"changed": {
			errPermission, job(false, 8),
			"web was changed by somebody else and is now at version 8", 0,
		},
		"registered again": {
			nil, job(false, 9),
			"this restart stopped web, and somebody else has already registered it again, as version 9", 0,
		},
		"not applied":               {lost, job(false, 7), "web was not stopped: ", lateRequestGrace},
		"no response":               {lost, noLeader, errStopUnknown.Error(), recoveryTimeout},
		"no response, stop applied": {nil, noLeader, errStopUnknown.Error(), recoveryTimeout},
		"late response": {lost, func(calls int) (backends.JobDetail, error) {
			if calls < 20 {
				return noLeader(calls)
			}
			return job(true, 8)(calls)
		}, "", 19 * recoveryInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeCluster{job: tc.job}
				before, _ := job(false, 7)(0)
				start := time.Now()
				_, err := confirmStopped(t.Context(), s.operation(t), before, tc.failed)
				took := time.Since(start)
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
