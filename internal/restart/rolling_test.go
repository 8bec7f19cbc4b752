package restart

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// serviceCluster is a cluster with one service. Its functions may change the job while it is restarted.
type serviceCluster struct {
	backends.Cluster
	backends.ClusterWriter

	mu       sync.Mutex
	job      backends.JobDetail                 // guarded by mu
	requests []string                           // guarded by mu: the index and the time of each request to restart or stop
	start    time.Time                          // of the test
	restart  func(a *backends.Allocation) error // restarts an allocation; nil: its tasks start again at once
	stop     func(a backends.Allocation)        // stops an allocation
	poll     func(job *backends.JobDetail)      // changes the job before each response; may be nil
	checks   func() []backends.Check            // of each running allocation; nil: none
}

func newServiceCluster(allocations ...backends.Allocation) *serviceCluster {
	return &serviceCluster{job: newService(allocations...), start: time.Now()}
}

func (s *serviceCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != nil {
		s.poll(&s.job)
	}
	now := s.job
	now.Allocations = slices.Clone(s.job.Allocations)
	for i, a := range now.Allocations {
		now.Allocations[i].Tasks = slices.Clone(a.Tasks)
	}
	return now, nil
}

func (s *serviceCluster) Checks(_ context.Context, allocations []backends.Allocation) map[string][]backends.Check {
	all := map[string][]backends.Check{}
	for _, a := range allocations {
		all[a.ID] = nil
		if s.checks != nil {
			all[a.ID] = s.checks()
		}
	}
	return all
}

// record records a request and returns the allocation. The caller holds s.mu.
func (s *serviceCluster) record(id, task string) *backends.Allocation {
	text := id[:1] + " " + time.Since(s.start).String()
	if task != "" {
		text += " " + task
	}
	s.requests = append(s.requests, text)
	return s.find(id)
}

// find returns an allocation. The caller holds s.mu.
func (s *serviceCluster) find(id string) *backends.Allocation {
	for i := range s.job.Allocations {
		if s.job.Allocations[i].ID == id {
			return &s.job.Allocations[i]
		}
	}
	return nil
}

func (s *serviceCluster) RestartTask(_ context.Context, a backends.Allocation, task string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.record(a.ID, task)
	if s.restart != nil {
		return s.restart(now)
	}
	startTasks(now, task)
	return nil
}

func (s *serviceCluster) StopAllocation(_ context.Context, a backends.Allocation) (backends.WriteResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record(a.ID, "")
	s.stop(a)
	return backends.WriteResult{}, nil
}

func (s *serviceCluster) Evaluate(context.Context, backends.Job) (backends.WriteResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, "evaluate")
	return backends.WriteResult{EvaluationID: "v1"}, nil
}

// startTasks starts a task of an allocation again, or all its running tasks if task is empty.
func startTasks(a *backends.Allocation, task string) {
	for i := range a.Tasks {
		if t := &a.Tasks[i]; (task == "" || t.Name == task) && t.State != "dead" {
			t.State, t.Started = "running", time.Now()
		}
	}
}

// startOp starts an operation on the service.
func startOp(t *testing.T, s *serviceCluster) ops.Operation {
	t.Helper()
	registry, problems := ops.Open(t.TempDir(), ops.Key{1})
	op, err := registry.Start(backends.JobRef{ID: "web", Root: "web"}, "wim", "restart web")
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return ops.Operation{Op: op, Cluster: s, Writer: s}
}

// notes returns the notes of an operation that are not transient.
func notes(op ops.Operation) (all []string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient {
			all = append(all, n.Text)
		}
		return nil
	})
	return all
}

// newRolling returns a restart of the service, one allocation at a time.
func newRolling(s *serviceCluster, part Part) *Rolling {
	return &Rolling{Plan: NewPlan(s.job, part), BatchSize: 1, Timeout: time.Minute}
}

// checkRun runs a restart and checks the start of its error, its requests and its notes. Nil notes are not checked.
func checkRun(t *testing.T, r *Rolling, s *serviceCluster, want string, requests, wantNotes []string) {
	t.Helper()
	op := startOp(t, s)
	err := r.Run(t.Context(), op)
	if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if !slices.Equal(s.requests, requests) {
		t.Errorf("requested %q, want %q", s.requests, requests)
	}
	if got := notes(op); wantNotes != nil && !slices.Equal(got, wantNotes) {
		t.Errorf("got the notes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wantNotes, "\n"))
	}
}

func TestRestartRolling_OneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1), newAllocation(2, status("unknown")))
		checkRun(t, newRolling(s, Part{}), s, "", []string{"0 0s", "1 2s"}, []string{
			"skipping 1 allocation of web: web[2] 22222222 is on a disconnected node and may still be running",
			"restarting 2 allocations of web, 1 at a time",
			"1 of 2 restarted: web[0] 00000000",
			"2 of 2 restarted: web[1] 11111111",
			"restarted 2 allocations of web, skipped 1",
		})
	})
}

func TestRestartRolling_BatchesAndPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1), newAllocation(2))
		r := newRolling(s, Part{})
		r.BatchSize, r.Wait = 2, time.Minute
		op := startOp(t, s)
		if err := r.Run(t.Context(), op); err != nil {
			t.Error(err)
		}
		slices.Sort(s.requests) // the requests of a batch are sent at the same time
		if want := []string{"0 0s", "1 0s", "2 1m2s"}; !slices.Equal(s.requests, want) {
			t.Errorf("requested %q, want %q", s.requests, want)
		}
	})
}

// TestRestartRolling_KeepsOthersRunning checks that only the allocations of one batch are down at a time.
func TestRestartRolling_KeepsOthersRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []backends.Allocation
		for n := range 6 {
			all = append(all, newAllocation(n))
		}
		s := newServiceCluster(all...)
		minRunning := len(all)
		s.restart = func(a *backends.Allocation) error {
			a.Tasks[0].State = "pending"
			running := 0
			for _, b := range s.job.Allocations {
				if b.Tasks[0].State == "running" {
					running++
				}
			}
			minRunning = min(minRunning, running)
			return nil
		}
		s.poll = func(job *backends.JobDetail) { // the tasks start 10 seconds after the restart
			for i := range job.Allocations {
				t := &job.Allocations[i].Tasks[0]
				if t.State == "pending" && time.Since(s.start)%(12*time.Second) >= 10*time.Second {
					t.State, t.Started = "running", time.Now()
				}
			}
		}
		r := newRolling(s, Part{})
		r.BatchSize = 2
		if err := r.Run(t.Context(), startOp(t, s)); err != nil || len(s.requests) != 6 || minRunning != 4 {
			t.Errorf("got %v, requested %q, at least %d running, want 4", err, s.requests, minRunning)
		}
	})
}

func TestRestartRolling_OnlyOneTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0, withTask("sidecar", "running")), newAllocation(1, withTask("sidecar",
			"dead")))
		checkRun(t, newRolling(s, Part{Group: "web", Task: "sidecar"}), s, "", []string{"0 0s sidecar"}, nil)
	})
}

func TestRestartRolling_StopsAtUnhealthyBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1), newAllocation(2))
		s.restart = func(a *backends.Allocation) error {
			startTasks(a, "")
			if a.ID[0] == '1' {
				a.Tasks[0].State = "pending"
			}
			return nil
		}
		checkRun(t, newRolling(s, Part{}), s, "the restart of web stopped after 1 of 3 allocations: "+
			"a batch did not become healthy within 1m0s: 11111111: task nginx is pending", []string{"0 0s", "1 2s"}, []string{
			"restarting 3 allocations of web, 1 at a time",
			"1 of 3 restarted: web[0] 00000000",
			"restarted: web[0] 00000000",
			"restarted but not confirmed healthy: web[1] 11111111",
			"not restarted: web[2] 22222222",
		})
	})
}

// TestRestartRolling_TaskKeepsRestarting checks that a task that is always just started never counts as healthy.
func TestRestartRolling_TaskKeepsRestarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1))
		s.poll = func(job *backends.JobDetail) {
			if len(s.requests) > 0 && time.Since(job.Allocations[0].Tasks[0].Started) >= time.Second {
				startTasks(&job.Allocations[0], "")
			}
		}
		checkRun(t, newRolling(s, Part{}), s, "the restart of web stopped after 0 of 2 allocations: "+
			"a batch did not become healthy within 1m0s", []string{"0 0s"}, nil)
	})
}

func TestRestartRolling_NotReady(t *testing.T) {
	for name, tc := range map[string]struct {
		restart func(*backends.Allocation)
		want    string        // part of the error; empty: none
		took    time.Duration // if there is an error
	}{
		"task fails": {func(a *backends.Allocation) {
			startTasks(a, "")
			a.Tasks[0].Failed = true
		}, "task nginx of allocation 00000000 has failed (see: logs e1)", 0},
		"allocation fails": {
			func(a *backends.Allocation) { a.Status = "failed" },
			"allocation 00000000 has failed (see: info 00000000)", 0,
		},
		"node is down":         {func(a *backends.Allocation) { a.Status = "lost" }, "allocation 00000000 is lost", 0},
		"stopped elsewhere":    {func(a *backends.Allocation) { a.Desired = "stop" }, "was stopped during this restart", 0},
		"batch task completes": {func(a *backends.Allocation) { a.Status = "complete" }, "", 0},
		"pending":              {func(a *backends.Allocation) { a.Status = "pending" }, "00000000: pending", time.Minute},
		"node disconnects": {
			func(a *backends.Allocation) { a.Status = "unknown" },
			"00000000: on a disconnected node", time.Minute,
		},
		"still stopping": {func(*backends.Allocation) {}, "00000000: task nginx is still stopping", time.Minute},
		"start is in the events": {func(a *backends.Allocation) {
			a.Tasks[0].Events = []backends.Event{{Type: "Started", Time: time.Now()}}
		}, "", 0},
		"prestart task is dead": {func(a *backends.Allocation) {
			startTasks(a, "")
			a.Tasks[1].State = "dead"
		}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServiceCluster(newAllocation(0, withTask("init", "dead")))
				s.restart = func(a *backends.Allocation) error { tc.restart(a); return nil }
				start := time.Now()
				err := newRolling(s, Part{}).Run(t.Context(), startOp(t, s))
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took := time.Since(start); err != nil && took != tc.took {
					t.Errorf("after %s, want %s", took, tc.took)
				}
			})
		})
	}
}

func TestRestartRolling_WaitsForChecks(t *testing.T) {
	const settle = 20 * time.Second
	for name, tc := range map[string]struct {
		check func(elapsed time.Duration) backends.Check
		took  time.Duration
		want  string // part of the error; empty: none
	}{
		"success": {func(time.Duration) backends.Check {
			return backends.Check{Name: "http", Status: "success", Time: time.Now()}
		}, minUptime + 500*time.Millisecond, ""},
		"failing at first": {func(elapsed time.Duration) backends.Check {
			if elapsed < settle {
				return backends.Check{Name: "http", Status: "failure", Time: time.Now()}
			}
			return backends.Check{Name: "http", Status: "success", Time: time.Now()}
		}, settle + minUptime, ""},
		"pending": {func(time.Duration) backends.Check {
			return backends.Check{Name: "http", Status: "pending", Time: time.Now()}
		}, time.Minute, "00000000: check http is pending"},
		"failing": {func(time.Duration) backends.Check {
			return backends.Check{Name: "http", Status: "failure", Time: time.Now()}
		}, time.Minute, "00000000: check http is failing"},
		"from before the restart": {func(elapsed time.Duration) backends.Check {
			return backends.Check{Name: "http", Status: "success", Time: time.Now().Add(-elapsed)}
		}, time.Minute, "00000000: check http has not run since the restart"},
		"readiness is failing": {func(time.Duration) backends.Check {
			return backends.Check{Name: "ready", Status: "failure", Readiness: true}
		}, minUptime, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServiceCluster(newAllocation(0))
				s.checks = func() []backends.Check { return []backends.Check{tc.check(time.Since(s.start))} }
				err := newRolling(s, Part{}).Run(t.Context(), startOp(t, s))
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) ||
					time.Since(s.start) != tc.took {
					t.Errorf("got %v after %s, want %q after %s", err, time.Since(s.start), tc.want, tc.took)
				}
			})
		})
	}
}

func TestRestartRolling_IgnoreChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0))
		s.checks = func() []backends.Check { return []backends.Check{{Name: "http", Status: "failure"}} }
		r := newRolling(s, Part{})
		r.IgnoreChecks = true
		if err := r.Run(t.Context(), startOp(t, s)); err != nil {
			t.Error(err)
		}
	})
}

func TestRestartRolling_RequestFails(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string // start of the error; empty: none
	}{
		"rejected": {
			errPermission,
			"the restart of web stopped after 0 of 2 allocations: allocation 00000000: Permission denied",
		},
		"response lost": {backends.ErrOutcomeUnknown, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServiceCluster(newAllocation(0), newAllocation(1))
			s.restart = func(a *backends.Allocation) error {
				if tc.want == "" { // it was applied
					startTasks(a, "")
				}
				return tc.err
			}
			err := newRolling(s, Part{}).Run(t.Context(), startOp(t, s))
			if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
				t.Errorf("%s: got %v, want %q", name, err, tc.want)
			}
		})
	}
}

// TestRestartRolling_RequestPanics checks that a panic in one of the parallel requests is an error of the restart.
func TestRestartRolling_RequestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0))
		s.restart = func(*backends.Allocation) error { panic("oops") }
		if err := newRolling(s, Part{}).Run(t.Context(), startOp(t, s)); err == nil {
			t.Error("no error")
		}
	})
}

// TestRestartRolling_JobChangedBetweenBatches checks that the restart stops if the job changes during the first batch.
func TestRestartRolling_JobChangedBetweenBatches(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*backends.JobDetail)
		want   string
	}{
		"registered": {func(j *backends.JobDetail) { j.ModifyIndex, j.Version = 8, 4 }, "web was changed by somebody else"},
		"stopped":    {func(j *backends.JobDetail) { j.Stopped = true }, "web is stopped (see: start web)"},
		"deployed": {
			func(j *backends.JobDetail) { j.LatestDeployment = &backends.Deployment{ID: "d1", Status: "running"} },
			"web is being deployed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServiceCluster(newAllocation(0), newAllocation(1))
				s.restart = func(a *backends.Allocation) error {
					startTasks(a, "")
					tc.change(&s.job)
					return nil
				}
				checkRun(t, newRolling(s, Part{}), s,
					"the restart of web stopped after 1 of 2 allocations: "+tc.want, []string{"0 0s"}, nil)
			})
		})
	}
}

func TestRestartRolling_HaltedAfterBatch(t *testing.T) {
	for name, wait := range map[string]time.Duration{"without a pause": 0, "in the pause": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServiceCluster(newAllocation(0), newAllocation(1))
				r := newRolling(s, Part{})
				r.Wait = wait
				op := startOp(t, s)
				time.AfterFunc(time.Second+wait/2, func() { op.Halt("the client disconnected") })
				err := r.Run(t.Context(), op)
				if !errors.Is(err, ops.ErrHalted) ||
					err.Error() != "the restart of web stopped after 1 of 2 allocations: the client disconnected" {
					t.Errorf("got %v", err)
				}
				if took := time.Since(s.start); took != max(minUptime, time.Second+wait/2) || len(s.requests) != 1 {
					t.Errorf("after %s, requested %q", took, s.requests)
				}
			})
		})
	}
}

// TestRestartRolling_InterruptedInBatch expects a report when the gateway exits before a batch is healthy.
func TestRestartRolling_InterruptedInBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1), newAllocation(2))
		s.restart = func(a *backends.Allocation) error {
			if len(s.requests) == 1 {
				startTasks(a, "")
			}
			return nil // the second one keeps stopping
		}
		registry, _ := ops.Open("")
		started, err := registry.Start(backends.JobRef{ID: "web"}, "wim", "restart web")
		if err != nil {
			t.Fatal(err)
		}
		op := ops.Operation{Op: started, Cluster: s, Writer: s}
		go func() { op.Finish(newRolling(s, Part{}).Run(t.Context(), op)) }()
		time.Sleep(10 * time.Second)
		registry.Close("the gateway is being stopped")
		grace, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		registry.Wait(grace)
		_, err = op.Finished()
		const want = "the restart of web stopped after 1 of 3 allocations: the gateway is being stopped: " +
			"11111111: task nginx is still stopping"
		if err == nil || err.Error() != want || !errors.Is(err, ops.ErrHalted) {
			t.Errorf("got %v, want %s", err, want)
		}
		report := []string{
			"restarted: web[0] 00000000", "restarted but not confirmed healthy: web[1] 11111111",
			"not restarted: web[2] 22222222",
		}
		if got := notes(op); len(got) < 3 || !slices.Equal(got[len(got)-3:], report) {
			t.Errorf("got the notes %q, want them to end with %q", got, report)
		}
	})
}

func TestRestartRolling_SkipsReplacedTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1), newAllocation(2), newAllocation(3), newAllocation(4))
		s.restart = func(a *backends.Allocation) error {
			startTasks(a, "")
			s.find(newAllocation(1).ID).Next = newAllocation(9).ID
			s.find(newAllocation(2).ID).Status = "failed"
			s.job.Allocations = slices.DeleteFunc(s.job.Allocations, func(a backends.Allocation) bool { return a.ID[0] == '3' })
			s.restart = nil
			return nil
		}
		checkRun(t, newRolling(s, Part{}), s, "", []string{"0 0s", "4 2s"}, []string{
			"restarting 5 allocations of web, 1 at a time",
			"1 of 5 restarted: web[0] 00000000",
			"skipping allocation 11111111: 99999999 has replaced it",
			"skipping allocation 22222222: it is failed",
			"skipping allocation 33333333: it no longer exists",
			"2 of 5 restarted: web[4] 44444444",
			"restarted 2 allocations of web",
		})
	})
}

// TestRestartRolling_Reschedule checks restarts that stop allocations, so that Nomad replaces them.
func TestRestartRolling_Reschedule(t *testing.T) {
	unhealthy := false
	for name, tc := range map[string]struct {
		replacement func(*backends.Allocation)
		isLinked    bool // the stopped allocation names its replacement
		want        string
	}{
		"service":   {func(*backends.Allocation) {}, true, ""},
		"batch job": {func(*backends.Allocation) {}, false, ""},
		"unhealthy": {func(a *backends.Allocation) { a.Healthy = &unhealthy }, true, "allocation 99999999 is unhealthy"},
		"fails":     {func(a *backends.Allocation) { a.Status = "failed" }, true, "allocation 99999999 has failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServiceCluster(newAllocation(0))
				s.stop = func(a backends.Allocation) {
					old := s.find(a.ID)
					old.Status, old.Desired = "complete", "stop"
					next := newAllocation(9, func(b *backends.Allocation) { b.Name, b.Created = a.Name, time.Now() }, tc.replacement)
					if tc.isLinked {
						old.Next = next.ID
					}
					time.AfterFunc(10*time.Second, func() {
						s.mu.Lock()
						defer s.mu.Unlock()
						s.job.Allocations = append(s.job.Allocations, next)
					})
				}
				r := newRolling(s, Part{})
				r.Replace = true
				err := r.Run(t.Context(), startOp(t, s))
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took := time.Since(s.start); took < 10*time.Second || took > 15*time.Second {
					t.Errorf("after %s, want the time of the replacement", took)
				}
			})
		})
	}
}

func TestRestartRolling_RescheduleCannotBePlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0))
		s.stop = func(a backends.Allocation) {
			s.find(a.ID).Status, s.find(a.ID).Desired = "complete", "stop"
			s.job.Unplaced = []backends.UnplacedGroup{{Group: "web", Reasons: []string{"no nodes"}}}
		}
		r := newRolling(s, Part{})
		r.Replace = true
		err := r.Run(t.Context(), startOp(t, s))
		const want = "a batch did not become healthy within 1m0s: 00000000: cannot be placed: web: no nodes"
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	})
}

func TestRestartRolling_ReplacesFailedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1, status("failed")))
		s.poll = func(job *backends.JobDetail) {
			if time.Since(s.start) >= 3*time.Second && len(job.Allocations) == 2 {
				job.Allocations = append(job.Allocations, newAllocation(9, func(a *backends.Allocation) {
					a.Name, a.Created = job.Allocations[1].Name, time.Now()
				}))
			}
		}
		checkRun(t, newRolling(s, Part{}), s, "", []string{"evaluate", "0 3s"}, []string{
			"replacing 1 failed allocation of web: web[1] 11111111",
			"replaced 1 failed allocation of web: web[1] 11111111 -> 99999999",
			"restarting 1 allocation of web, 1 at a time",
			"1 of 1 restarted: web[0] 00000000",
			"restarted 1 allocation of web",
		})
	})
}

func TestRestartRolling_FailedNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0), newAllocation(1, status("failed")))
		checkRun(t, newRolling(s, Part{}), s, "the restart of web stopped before anything was restarted: "+
			"Nomad evaluated web but did not replace: web[1] 11111111", []string{"evaluate"}, nil)
	})
}

func TestRestartRolling_MissingAllocationFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(0))
		s.job.Groups[0].Count = 2
		r := newRolling(s, Part{})
		s.poll = func(job *backends.JobDetail) {
			if time.Since(s.start) >= 3*time.Second && len(job.Allocations) == 1 {
				job.Allocations = append(job.Allocations, newAllocation(1))
				for i := range job.Allocations {
					job.Allocations[i].Version = job.Version
				}
			}
		}
		checkRun(t, r, s, "", []string{"evaluate", "0 3s"}, []string{
			"placing 1 missing allocation of web",
			"placed 1 missing allocation of web",
			"restarting 1 allocation of web, 1 at a time",
			"1 of 1 restarted: web[0] 00000000",
			"restarted 1 allocation of web",
		})
	})
}

func TestRestartRolling_HaltedBeforeReplacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServiceCluster(newAllocation(1, status("failed")))
		op := startOp(t, s)
		op.Halt("cancelled by wim")
		if err := newRolling(s, Part{}).Run(t.Context(), op); !errors.Is(err, ops.ErrHalted) || len(s.requests) > 0 {
			t.Errorf("got %v, requested %q", err, s.requests)
		}
	})
}

func TestRestartRolling_ClusterDoesNotRespond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silentCluster{serviceCluster: newServiceCluster(newAllocation(0), newAllocation(1))}
		op := startOp(t, s.serviceCluster)
		op.Cluster = s
		r := newRolling(s.serviceCluster, Part{})
		r.Timeout = time.Hour
		err := r.Run(t.Context(), op)
		const want = "the restart of web stopped after 0 of 2 allocations: the cluster has not responded for 2m0s"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	})
}

// silentCluster does not respond after the first request to restart.
type silentCluster struct{ *serviceCluster }

func (s *silentCluster) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	if len(s.requests) > 0 {
		return backends.JobDetail{}, errNoLeader
	}
	return s.serviceCluster.Job(ctx, job)
}
