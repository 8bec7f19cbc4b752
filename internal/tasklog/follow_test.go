package tasklog

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// statesCluster is a cluster whose job depends on the time since the start of the test.
type statesCluster struct {
	backends.Cluster
	start time.Time
	state func(elapsed time.Duration) (backends.Job, error)
}

func newStates(state func(elapsed time.Duration) (backends.Job, error)) *statesCluster {
	return &statesCluster{start: time.Now(), state: state}
}

func (s *statesCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	job, err := s.state(time.Since(s.start))
	return backends.JobDetail{Job: job}, err
}

// runsUntil returns the states of a job with one task that finishes after a time.
func runsUntil(end time.Duration) func(time.Duration) (backends.Job, error) {
	return func(elapsed time.Duration) (backends.Job, error) {
		if elapsed >= end {
			return jobOf("running", newTask(0, backends.StateDead)), nil
		}
		return jobOf("running", newTask(0, backends.StateRunning)), nil
	}
}

// noNext waits for a later container that never starts.
var noNext = pause(time.Hour)

const finished = "nomadctld: nginx of web.web[0] has finished at 1970-01-01T00:33:20Z with exit code 3\n"

// follow follows the log of one task.
func follow(t *testing.T, log *fakeLog, states func(time.Duration) (backends.Job, error)) (*output, error) {
	t.Helper()
	task := newTask(0, backends.StateRunning)
	view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
	return out, view.Follow(t.Context(), newStates(states))
}

func TestFollow_UntilFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		out, err := follow(t, logOf(
			steps(lines("old\n"), caughtUp("c1"), pause(9*time.Second), lines("new\n")), noNext,
		), runsUntil(9*time.Second))
		if err != nil || time.Since(start) > 10*time.Second+2*exitGrace {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		out.check(t, "old\nnew\n", finished)
	})
}

func TestFollow_AcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logOf(
			steps(lines("first\nincompl"), caughtUp("c1"), pause(10*time.Second)),
			fails(backends.ErrNoLog), fails(backends.ErrNoLog),
			steps(lines("second\n"), caughtUp("c2"), pause(10*time.Second)), noNext,
		)
		task := newTask(0, backends.StateRunning)
		view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
		view.Printer.Filter.Pattern = regexp.MustCompile("") // lines are completed only if they are not printed unchanged
		if err := view.Follow(t.Context(), newStates(runsUntil(time.Minute))); err != nil {
			t.Error(err)
		}
		out.check(t, "first\nincompl\nsecond\n",
			"nomadctld: log of nginx of web.web[0]: log not found (see: info e0); waiting for a new log\n"+finished)
		if q := log.queries[1]; q.AfterContainer != "c1" || q.Lines != -1 || !q.Follow {
			t.Errorf("after the first container: got %+v", q)
		}
		if q := log.queries[len(log.queries)-1]; q.AfterContainer != "c2" {
			t.Errorf("after the second container: got %+v", q)
		}
	})
}

func TestFollow_AlreadyFinished(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string // start of the error; empty: none
	}{
		"log":    {nil, ""},
		"no log": {backends.ErrNoLog, "log of nginx of web.web[0]: log not found (see: info e0)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			task := newTask(0, backends.StateDead)
			log := logOf(steps(lines("one"), fails(tc.err)))
			view, out := newView(jobOf("dead", task), &task, map[string]*fakeLog{"e0": log})
			err := view.Follow(t.Context(), newStates(runsUntil(0)))
			if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
				t.Errorf("%s: got %v, want %q", name, err, tc.want)
			}
			out.check(t, "one", finished)
			if log.queries[0].Follow {
				t.Error("the log of a finished task is followed")
			}
		})
	}
}

func TestFollow_PendingTaskFromStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := newTask(0, "pending")
		log := logOf(steps(caughtUp("c1"), pause(time.Second)), noNext)
		view, _ := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
		if err := view.Follow(t.Context(), newStates(runsUntil(time.Second))); err != nil || log.queries[0].Lines != -1 {
			t.Errorf("got %v, %+v", err, log.queries)
		}
	})
}

func TestFollow_FirstReadFails(t *testing.T) {
	for err, want := range map[error]string{
		errors.New("node is down"): "log of nginx of web.web[0]: node is down",
		backends.ErrForbidden:      "log of nginx of web.web[0]: " + backends.ErrForbidden.Error(),
		backends.ErrNoTimestamps:   "the log of nginx of web.web[0] comes from Nomad's files",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, got := follow(t, logOf(fails(err)), runsUntil(time.Hour))
			if got == nil || !strings.HasPrefix(got.Error(), want) {
				t.Errorf("got %v, want %q", got, want)
			}
		})
	}
}

// TestFollow_LaterReadFails checks that the log of a later container is read again for exitTimeout.
func TestFollow_LaterReadFails(t *testing.T) {
	down := fails(errors.New("node is down"))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		out, err := follow(t, logOf(steps(caughtUp("c1"), pause(time.Second)), down), runsUntil(time.Hour))
		took := time.Since(start)
		if err == nil || err.Error() != "log of nginx of web.web[0]: node is down" ||
			took < exitTimeout || took > exitTimeout+5*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
		out.check(t, "", "nomadctld: log of nginx of web.web[0]: node is down; still following\n")
	})
	synctest.Test(t, func(t *testing.T) {
		out, err := follow(t, logOf(
			steps(caughtUp("c1"), pause(time.Second)), down, down, down,
			steps(lines("again\n"), caughtUp("c2"), pause(time.Minute)), noNext,
		), runsUntil(time.Minute))
		if err != nil || out.stdout.String() != "again\n" {
			t.Errorf("recovered: got %v, %q", err, &out.stdout)
		}
	})
}

func TestFollow_WaitsForSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := fails(backends.ErrLimitReached)
		out, err := follow(t, logOf(
			full, full, full, steps(lines("one\n"), caughtUp("c1"), pause(time.Minute)), noNext,
		), runsUntil(time.Minute))
		if err != nil {
			t.Error(err)
		}
		out.check(t, "one\n", "nomadctld: log of nginx of web.web[0]: "+backends.ErrLimitReached.Error()+
			"; waiting for a free slot\n"+finished)
	})
}

// TestFollow_LogStaysOpen checks when a log that does not end is closed after the task has finished.
func TestFollow_LogStaysOpen(t *testing.T) {
	for name, tc := range map[string]struct {
		container string
		late      time.Duration // when the last line arrives
		want      time.Duration // when the log is closed
	}{
		"Nomad's files":            {"", 0, 10*time.Second + exitGrace},
		"Nomad's files, late line": {"", 12 * time.Second, 12*time.Second + exitGrace},
		"container":                {"c1", 0, 10*time.Second + exitTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				out, err := follow(t, logOf(
					steps(caughtUp(tc.container), pause(tc.late), lines("last\n"), pause(time.Hour)),
				), runsUntil(10*time.Second))
				took := time.Since(start)
				if err != nil || took < tc.want || took > tc.want+2*PollInterval+exitGrace {
					t.Errorf("got %v after %s, want %s", err, took, tc.want)
				}
				if !strings.HasPrefix(out.stdout.String(), "last\n") || !strings.HasSuffix(out.stderr.String(), finished) {
					t.Errorf("got %q and %q", &out.stdout, &out.stderr)
				}
			})
		})
	}
}

// TestFollow_LastLinesMayBeMissing checks the notes about a log that breaks when the task finishes.
func TestFollow_LastLinesMayBeMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		read readFunc
		want string
	}{
		"container": {
			steps(caughtUp("c1"), pause(10*time.Second), fails(errors.New("connection reset"))),
			"nomadctld: the last lines of nginx of web.web[0] may be missing: the connection to its container's log was lost\n",
		},
		"Nomad's files": {
			steps(caughtUp(""), pause(7*time.Second), fails(errors.New("connection reset"))),
			"nomadctld: the last lines of nginx of web.web[0] may be missing: connection reset\n",
		},
		"log removed": {steps(caughtUp(""), pause(7*time.Second), fails(backends.ErrNoLog)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, err := follow(t, logOf(tc.read), runsUntil(5*time.Second))
				if err != nil {
					t.Error(err)
				}
				out.check(t, "", tc.want+finished)
			})
		})
	}
}

func TestFollow_JobDeletedOrReplaced(t *testing.T) {
	for name, tc := range map[string]struct {
		state func() (backends.Job, error)
		want  string
	}{
		"deleted": {
			func() (backends.Job, error) { return backends.Job{}, backends.ErrNotFound },
			"nomadctld: Nomad has deleted nginx of web.web[0]\n",
		},
		"allocation deleted": {
			func() (backends.Job, error) { return jobOf("running"), nil },
			"nomadctld: Nomad has deleted nginx of web.web[0]\n",
		},
		"replaced": {
			func() (backends.Job, error) {
				job := jobOf("running", newTask(0, backends.StateDead))
				job.Allocations[0].Next = "next"
				return job, nil
			},
			strings.TrimSuffix(finished, "\n") + "; Nomad has replaced it (see: ps --all web)\n",
		},
		"node is down": {
			func() (backends.Job, error) {
				job := jobOf("running", newTask(0, backends.StateRunning))
				job.Allocations[0].Status = "lost"
				return job, nil
			},
			"nomadctld: nginx of web.web[0] was lost: its node is down\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, err := follow(t, logOf(steps(caughtUp(""), pause(time.Hour))),
					func(time.Duration) (backends.Job, error) { return tc.state() })
				if err != nil {
					t.Error(err)
				}
				out.check(t, "", tc.want)
			})
		})
	}
}

func TestFollow_ClusterDoesNotRespond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := follow(t, logOf(steps(caughtUp("c1"), pause(time.Minute), lines("one\n")), noNext),
			func(elapsed time.Duration) (backends.Job, error) {
				if elapsed < time.Minute {
					return backends.Job{}, backends.ErrUnreachable
				}
				return runsUntil(0)(elapsed)
			})
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(out.stderr.String(), "nomadctld: no response; still following\n") ||
			strings.Count(out.stderr.String(), "no response") != 1 || out.stdout.String() != "one\n" {
			t.Errorf("got %q and %q", &out.stdout, &out.stderr)
		}
	})
}

func TestFollow_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		task := newTask(0, backends.StateRunning)
		for name, selected := range map[string]*Task{"task": &task, "job": nil} {
			view, _ := newView(jobOf("running", task), selected,
				map[string]*fakeLog{"e0": logOf(steps(caughtUp("c1"), pause(time.Hour)))})
			if err := view.Follow(ctx, newStates(runsUntil(time.Hour))); err != cause {
				t.Errorf("%s: got %v, want the cause", name, err)
			}
		}
	})
}

// TestFollow_NewTasks checks that the log of a job includes tasks that start later, from their first line.
func TestFollow_NewTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newTask(0, backends.StateRunning), newTask(1, backends.StateRunning)
		logs := map[string]*fakeLog{
			"e0": logOf(steps(lines("a\n"), caughtUp("c1"), pause(time.Minute)), noNext),
			"e1": logOf(steps(lines("b\n"), caughtUp("c2"), pause(time.Minute)), noNext),
		}
		view, out := newView(jobOf("running", first), nil, logs)
		view.Query.Lines = 0
		err := view.Follow(t.Context(), newStates(func(elapsed time.Duration) (backends.Job, error) {
			switch {
			case elapsed < 10*time.Second:
				return jobOf("running", first), nil
			case elapsed < 2*time.Minute:
				return jobOf("running", first, second), nil
			}
			return jobOf("dead", newTask(0, backends.StateDead), newTask(1, backends.StateDead)), nil
		}))
		if err != nil || out.stdout.String() != "web[0]/nginx | a\nweb[1]/nginx | b\n" {
			t.Errorf("got %v, %q", err, &out.stdout)
		}
		if logs["e0"].queries[0].Lines != 0 || logs["e1"].queries[0].Lines != -1 {
			t.Errorf("got %+v and %+v", logs["e0"].queries[0], logs["e1"].queries[0])
		}
		for _, n := range []string{"0", "1"} {
			if want := "nginx of web.web[" + n + "] has finished"; strings.Count(out.stderr.String(), want) != 1 {
				t.Errorf("got %q, want %q once", &out.stderr, want)
			}
		}
	})
}

func TestFollow_LogsCannotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := jobOf("running", newTask(0, backends.StateRunning), newTask(1, backends.StateRunning))
		view, out := newView(job, nil, map[string]*fakeLog{
			"e0": logOf(fails(backends.ErrLogDisabled)), "e1": logOf(fails(backends.ErrLogNotStored)),
		})
		err := view.Follow(t.Context(), newStates(func(time.Duration) (backends.Job, error) { return job, nil }))
		if err != nil {
			t.Errorf("got %v", err)
		}
		if got := out.stderr.String(); strings.Count(got, "\n") != 1 ||
			!strings.Contains(got, "web[0]/nginx: the job disables logs for this task") ||
			!strings.Contains(got, "web[1]/nginx: the log is not stored") {
			t.Errorf("got %q, want one note", got)
		}
	})
}

// TestFollow_Allocation checks that Follow returns when the selected allocation has finished, though the job runs, and
// that it is an error if none of its tasks has a log.
func TestFollow_Allocation(t *testing.T) {
	for name, tc := range map[string]struct {
		log  readFunc
		want error
	}{
		"log":    {steps(lines("a\n"), caughtUp("c1"), pause(time.Second)), nil},
		"no log": {fails(backends.ErrLogDisabled), ErrReported},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				selected, other := newTask(0, backends.StateRunning), newTask(1, backends.StateRunning)
				view, out := newView(jobOf("running", selected, other), nil, map[string]*fakeLog{
					"e0": logOf(tc.log, noNext), "e1": logOf(steps(lines("other\n"), noNext)),
				})
				view.Selected.Allocation = &selected.Allocation
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				err := view.Follow(ctx, newStates(func(elapsed time.Duration) (backends.Job, error) {
					if elapsed < time.Minute {
						return jobOf("running", selected, other), nil
					}
					return jobOf("running", newTask(0, backends.StateDead), other), nil
				}))
				if err != tc.want || strings.Contains(out.stdout.String(), "other") {
					t.Errorf("got %v, %q, %q, want %v", err, &out.stdout, &out.stderr, tc.want)
				}
			})
		})
	}
}

func TestFollow_JobWithoutTasks(t *testing.T) {
	for name, tc := range map[string]struct {
		job  backends.Job
		want string // start of the error; empty: it waits for a task
	}{
		"dead":    {backends.Job{ID: "web", Status: "dead"}, "web has no allocations (see: info web)"},
		"pending": {backends.Job{ID: "web", Status: "pending"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				view, out := newView(tc.job, nil, map[string]*fakeLog{
					"e0": logOf(steps(lines("a\n"), caughtUp("c1"), pause(time.Second)), noNext),
				})
				err := view.Follow(t.Context(), newStates(func(elapsed time.Duration) (backends.Job, error) {
					switch {
					case elapsed < time.Minute:
						return tc.job, nil
					case elapsed < 2*time.Minute:
						return jobOf("running", newTask(0, backends.StateRunning)), nil
					}
					return jobOf("dead", newTask(0, backends.StateDead)), nil
				}))
				if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if err == nil && (out.stdout.String() != "web[0]/nginx | a\n" ||
					!strings.HasPrefix(out.stderr.String(),
						"nomadctld: web has no allocations (see: info web); waiting for one\n")) {
					t.Errorf("got %q and %q", &out.stdout, &out.stderr)
				}
			})
		})
	}
}

// brokenWriter fails like the output of a client that has closed it.
type brokenWriter struct{}

var errOutputClosed = errors.New("the client closed its output")

func (brokenWriter) Write([]byte) (int, error) { return 0, errOutputClosed }

// TestFollow_LastLineOutputFails checks a last line without a newline, which is printed when the task has finished.
func TestFollow_LastLineOutputFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := newTask(0, backends.StateRunning)
		view, _ := newView(jobOf("running", task), &task, map[string]*fakeLog{
			"e0": logOf(steps(caughtUp("c1"), pause(time.Second), lines("half")), noNext),
		})
		view.Printer.Times = true // otherwise every chunk is printed at once
		view.Printer.Console.Stdout = brokenWriter{}
		if err := view.Follow(t.Context(), newStates(runsUntil(time.Second))); err != errOutputClosed {
			t.Errorf("got %v, want the error of the output", err)
		}
	})
}
