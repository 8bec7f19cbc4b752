package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// fakeCluster is a cluster with one job, whose state depends on the time since the fake was made.
type fakeCluster struct {
	backends.Cluster
	start time.Time
	state func(elapsed time.Duration) (backends.JobDetail, error)
}

func newFake(state func(elapsed time.Duration) (backends.JobDetail, error)) *fakeCluster {
	return &fakeCluster{start: time.Now(), state: state}
}

func (f *fakeCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	return f.state(time.Since(f.start))
}

// newStates returns a cluster that returns one state after another, and then repeats the last one.
func newStates(states ...backends.JobDetail) *fakeCluster {
	return newFake(func(time.Duration) (backends.JobDetail, error) {
		now := states[0]
		if len(states) > 1 {
			states = states[1:]
		}
		return now, nil
	})
}

// progressLog collects progress messages.
type progressLog []string

func (p *progressLog) add(format string, args ...any) {
	*p = append(*p, fmt.Sprintf(format, args...))
}

func ignore(string, ...any) {}

var (
	errNoLeader = errors.New("No cluster leader")
	web         = backends.Job{ID: "web"}
)

func TestPoll_UntilDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var messages progressLog
		polls := 0
		start := time.Now()
		err := Poll(t.Context(), newStates(backends.JobDetail{}), web, messages.add,
			func(backends.JobDetail) (string, bool, error) {
				polls++
				return []string{"", "one", "", "100%"}[polls-1], polls == 4, nil
			})
		if err != nil || time.Since(start) != 3*pollInterval || !slices.Equal(messages, []string{"one", "100%"}) {
			t.Errorf("got %v, %q after %s", err, messages, time.Since(start))
		}
	})
}

func TestPoll_StatusFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var messages progressLog
		failure := errors.New("allocation has failed")
		start := time.Now()
		err := Poll(t.Context(), newStates(backends.JobDetail{}), web, messages.add,
			func(backends.JobDetail) (string, bool, error) { return "0 of 1 running", false, failure })
		if err != failure || time.Since(start) != 0 || !slices.Equal(messages, []string{"0 of 1 running"}) {
			t.Errorf("got %v, %q after %s", err, messages, time.Since(start))
		}
	})
}

func TestPoll_ClusterFails(t *testing.T) {
	done := func(backends.JobDetail) (string, bool, error) { return "", true, nil }
	for name, tc := range map[string]struct {
		state    func(time.Duration) (backends.JobDetail, error)
		want     string // of the error; empty: none
		after    time.Duration
		messages []string
	}{
		"not found": {func(time.Duration) (backends.JobDetail, error) {
			return backends.JobDetail{}, backends.ErrNotFound
		}, "job web: not found in Nomad", 0, nil},
		"forbidden": {func(time.Duration) (backends.JobDetail, error) {
			return backends.JobDetail{}, backends.ErrForbidden
		}, backends.ErrForbidden.Error(), 0, nil},
		"for a while": {func(elapsed time.Duration) (backends.JobDetail, error) {
			if elapsed < responseTimeout {
				return backends.JobDetail{}, errNoLeader
			}
			return backends.JobDetail{}, nil
		}, "", responseTimeout, []string{"No cluster leader; retrying"}},
		"for too long": {
			func(time.Duration) (backends.JobDetail, error) { return backends.JobDetail{}, errNoLeader },
			"the cluster has not responded for 2m0s: No cluster leader",
			responseTimeout + pollInterval,
			[]string{"No cluster leader; retrying"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var messages progressLog
				start := time.Now()
				err := Poll(t.Context(), newFake(tc.state), web, messages.add, done)
				if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took := time.Since(start); took != tc.after || !slices.Equal(messages, tc.messages) {
					t.Errorf("got %q after %s, want %q after %s", messages, took, tc.messages, tc.after)
				}
			})
		})
	}
}

// TestPoll_ErrorsAlternate checks that each response starts the timeout again.
func TestPoll_ErrorsAlternate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newFake(func(elapsed time.Duration) (backends.JobDetail, error) {
			if elapsed.Truncate(pollInterval)/pollInterval%3 > 0 {
				return backends.JobDetail{}, errNoLeader
			}
			return backends.JobDetail{}, nil
		})
		start := time.Now()
		err := Poll(t.Context(), cluster, web, ignore, func(backends.JobDetail) (string, bool, error) {
			return "", time.Since(start) > 3*responseTimeout, nil
		})
		if err != nil {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestPoll_ContextEnds(t *testing.T) {
	cause := errors.New("the client disconnected")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		err := Poll(ctx, newStates(backends.JobDetail{}), web, ignore,
			func(backends.JobDetail) (string, bool, error) { return "", false, nil })
		if err != cause {
			t.Errorf("got %v, want the cause", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the context ends during the request
		ctx, cancel := context.WithCancelCause(t.Context())
		cluster := newFake(func(time.Duration) (backends.JobDetail, error) {
			cancel(cause)
			return backends.JobDetail{}, context.Canceled
		})
		if err := Poll(ctx, cluster, web, ignore, nil); err != cause {
			t.Errorf("during a request: got %v, want the cause", err)
		}
	})
}

func TestPoll_Stalled(t *testing.T) {
	for name, tc := range map[string]struct {
		isStalled func(elapsed time.Duration) bool
		want      time.Duration // when Poll returns the error; 0: never
	}{
		"always": {func(time.Duration) bool { return true }, idleGrace + pollInterval},
		"later":  {func(e time.Duration) bool { return e >= time.Minute }, time.Minute + idleGrace + pollInterval},
		"not in between": {
			func(e time.Duration) bool { return e != 3*time.Second },
			3*time.Second + idleGrace + 2*pollInterval,
		},
		"for a short time": {func(e time.Duration) bool { return e < idleGrace }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := Poll(t.Context(), newStates(backends.JobDetail{}), web, ignore,
					func(backends.JobDetail) (string, bool, error) {
						elapsed := time.Since(start)
						if tc.isStalled(elapsed) {
							return "", false, stalledError("Nomad starts no more")
						}
						return "", elapsed > 5*time.Minute, nil
					})
				took := time.Since(start)
				if (err != nil) != (tc.want > 0) || err != nil && (took != tc.want || err.Error() != "Nomad starts no more") {
					t.Errorf("got %v after %s, want an error after %s", err, took, tc.want)
				}
			})
		})
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, ErrTimeout)
		defer cancel()
		if err := Sleep(ctx, time.Minute); err != ErrTimeout || time.Since(start) != time.Minute+time.Second {
			t.Errorf("got %v after %s, want the cause", err, time.Since(start))
		}
	})
}

// checkStatus compares the results of a Status with the wanted ones. want is a part of the error; empty: none.
func checkStatus(t *testing.T, message string, done bool, err error, wantMessage string, wantDone bool, want string) {
	t.Helper()
	if message != wantMessage || done != wantDone || (err == nil) != (want == "") ||
		err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, %v, %v, want %q, %v, %q", message, done, err, wantMessage, wantDone, want)
	}
}
