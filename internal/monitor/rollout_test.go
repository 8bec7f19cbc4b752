package monitor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// submitted is when the current version of the jobs in these tests was registered.
var submitted = time.Unix(1000, 0)

// serviceJob returns a service at version 3 with a group web of the given count.
func serviceJob(count int, allocations ...backends.Allocation) (job backends.JobDetail) {
	job.ID, job.Type, job.Version, job.ModifyIndex, job.Submitted = "web", "service", 3, 7, submitted
	job.Groups = []backends.Group{{Name: "web", Count: count, Reschedule: backends.ReschedulePolicy{Unlimited: true}}}
	job.Allocations = allocations
	return job
}

// allocation returns an allocation of version 3 with one started task.
func allocation(id, status string, changes ...func(*backends.Allocation)) backends.Allocation {
	a := backends.Allocation{
		ID: id + "-0000", JobID: "web", JobType: "service", Name: "web.web[" + id[:1] + "]", Group: "web", Node: "n1",
		Status: status, Desired: "run", Version: 3, Created: submitted.Add(time.Second),
		Tasks: []backends.Task{{Name: "nginx", State: "running"}},
	}
	for _, change := range changes {
		change(&a)
	}
	return a
}

func desired(desired string) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Desired = desired }
}

func ofVersion(version uint64) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Version = version }
}

func ofGroup(group string) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Group = group }
}

func taskState(name, state string) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Tasks = append(a.Tasks, backends.Task{Name: name, State: state}) }
}

func createdAfter(d time.Duration) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Created = submitted.Add(d) }
}

func TestRolloutStatus(t *testing.T) {
	change := backends.WriteResult{EvaluationID: "e1", ModifyIndex: 7}
	unplaced := []backends.UnplacedGroup{{Group: "web", Reasons: []string{"memory exhausted on 2 nodes"}}}
	for name, tc := range map[string]struct {
		job     backends.JobDetail
		prepare func(*backends.JobDetail)
		group   string
		message string
		done    bool
		want    string // part of the error
	}{
		"running":    {job: serviceJob(1, allocation("1", "running")), done: true},
		"not placed": {job: serviceJob(2), message: "0 of 2 allocations running", want: "Nomad starts no more"},
		"one of two": {
			job:     serviceJob(2, allocation("1", "running"), allocation("2", "pending")),
			message: "1 of 2 allocations running",
		},
		"stale server": {
			job:     serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) { j.ModifyIndex = 6 },
		},
		"evaluation pending": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.Evaluations = []backends.Evaluation{{ID: "e1", Status: "pending"}}
			},
		},
		"other evaluation pending": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.Evaluations = []backends.Evaluation{{ID: "e2", Status: "pending"}}
			},
			done: true,
		},
		"changed again": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.ModifyIndex, j.Version = 8, 4
				j.LatestDeployment = &backends.Deployment{Version: 4, Description: "Failed - rolling back to version 2"}
			},
			done: true,
			want: "web is at version 4 now: Nomad reverted it, or somebody changed it: Failed - rolling back to version 2",
		},
		"a task is pending": {
			job:     serviceJob(1, allocation("1", "running", taskState("db", "pending"))),
			message: "0 of 1 allocation running",
		},
		"a poststop task is pending": {
			job: serviceJob(1, allocation("1", "running", taskState("db", "pending"))),
			prepare: func(j *backends.JobDetail) {
				j.Groups[0].Tasks = []backends.TaskDefinition{{Name: "db", Hook: "poststop"}}
			},
			done: true,
		},
		"old one is stopping": {
			job:     serviceJob(1, allocation("1", "running"), allocation("0", "running", ofVersion(2), desired("stop"))),
			message: "waiting for 1 allocation to stop",
		},
		"only the old one": {
			job:     serviceJob(1, allocation("0", "running", ofVersion(2), desired("stop"))),
			message: "0 of 1 allocation running",
		},
		"cannot be placed": {
			job:     serviceJob(2, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) { j.Unplaced = unplaced },
			message: "cannot be placed: web: memory exhausted on 2 nodes",
		},
		"of another group": {
			job: serviceJob(1, allocation("1", "running"), allocation("2", "pending", ofGroup("db"))),
			prepare: func(j *backends.JobDetail) {
				j.Groups = append(j.Groups, backends.Group{Name: "db", Count: 1})
				j.Unplaced = []backends.UnplacedGroup{{Group: "db"}}
			},
			group: "web", done: true,
		},
		"failed": {
			job:     serviceJob(1, allocation("12345678", "failed")),
			message: "0 of 1 allocation running", done: true,
			want: "allocation 12345678 of web has failed (see: logs 12345678, info 12345678)",
		},
		"failed, an evaluation is pending": {
			job: serviceJob(1, allocation("1", "failed")),
			prepare: func(j *backends.JobDetail) {
				j.Evaluations = []backends.Evaluation{{ID: "e2", Status: "pending"}}
			},
			message: "0 of 1 allocation running",
		},
		"failed, to be rescheduled": {
			job:     serviceJob(1, allocation("1", "failed", func(a *backends.Allocation) { a.ReschedulePending = true })),
			message: "0 of 1 allocation running",
		},
		"failed before the change": {
			job:  serviceJob(1, allocation("2", "running"), allocation("1", "failed", createdAfter(-time.Hour))),
			done: true,
		},
		"batch job complete": {
			job:     serviceJob(1, allocation("1", "complete", desired("stop"))),
			prepare: func(j *backends.JobDetail) { j.Type = "batch" },
			done:    true,
		},
		"service complete": {
			job:     serviceJob(1, allocation("1", "complete")),
			message: "0 of 1 allocation running", want: "Nomad starts no more",
		},
		"system job on two nodes": {
			job:     serviceJob(1, allocation("1", "running"), allocation("2", "pending")),
			prepare: func(j *backends.JobDetail) { j.Type = "system" },
			message: "1 of 2 allocations running",
		},
		"system job without nodes": {
			job:     serviceJob(1),
			prepare: func(j *backends.JobDetail) { j.Type = "system" },
			message: "0 of 1 allocation running", want: "Nomad starts no more",
		},
		"stopped": {
			job:     serviceJob(2),
			prepare: func(j *backends.JobDetail) { j.Stopped = true },
			done:    true,
		},
		"periodic": {
			job:     serviceJob(1),
			prepare: func(j *backends.JobDetail) { j.Periodic = true },
			done:    true,
		},
		"on a disconnected node": {
			job:     serviceJob(1, allocation("1", "unknown")),
			message: "0 of 1 allocation running",
		},
		"being deployed": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{
					ID: "d1d1d1d1-0000", Version: 3, Status: "running",
					Groups: []backends.DeploymentGroup{{Desired: 2, Healthy: 1}},
				}
			},
			message: "deployment d1d1d1d1 of version 3: 1 of 2 healthy",
		},
		"being deployed, cannot be placed": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{Version: 3, Status: "running"}
				j.Unplaced = unplaced
			},
			message: "cannot be placed: web: memory exhausted on 2 nodes",
		},
		"deployed": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{Version: 3, Status: "successful"}
			},
			done: true,
		},
		"deployed, one failed": {
			job: serviceJob(1, allocation("1", "failed")),
			prepare: func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{Version: 3, Status: "successful"}
				j.Groups[0].Reschedule.Unlimited = false
			},
			done: true, want: "Nomad does not replace 1 failed allocation: web[1] 1-0000",
		},
		"deployment of the version before": {
			job: serviceJob(1, allocation("1", "running")),
			prepare: func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{Version: 2, Status: "failed"}
			},
			done: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.prepare != nil {
				tc.prepare(&tc.job)
			}
			message, done, err := RolloutStatus(tc.job, tc.group, change)
			checkStatus(t, message, done, err, tc.message, tc.done, tc.want)
		})
	}
}

func TestRolloutStatus_DeploymentSuperseded(t *testing.T) {
	change := backends.WriteResult{DeploymentID: "d1"}
	for name, tc := range map[string]struct {
		deployment *backends.Deployment
		want       bool
	}{
		"same":    {&backends.Deployment{ID: "d1", Version: 3, Status: "successful"}, false},
		"another": {&backends.Deployment{ID: "d2", Version: 3, Status: "successful"}, true},
		"older":   {&backends.Deployment{ID: "d1", Version: 2, Status: "successful"}, true},
		"none":    {nil, true},
	} {
		job := serviceJob(1, allocation("1", "running"))
		job.LatestDeployment = tc.deployment
		if _, done, err := RolloutStatus(job, "", change); !done || (err != nil) != tc.want {
			t.Errorf("%s: got %v, %v", name, done, err)
		}
	}
}

// TestWaitForRollout_Stalled checks that the wait does not fail while Nomad has just not shown its allocations yet.
func TestWaitForRollout_Stalled(t *testing.T) {
	for name, placedAfter := range map[string]time.Duration{"late": idleGrace - pollInterval, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newFake(func(elapsed time.Duration) (backends.JobDetail, error) {
					if elapsed < placedAfter {
						return serviceJob(1), nil
					}
					return serviceJob(1, allocation("1", "running")), nil
				})
				start := time.Now()
				err := WaitForRollout(t.Context(), cluster, web, "", backends.WriteResult{}, ignore)
				if (err == nil) != (name == "late") || err != nil && time.Since(start) != idleGrace+pollInterval {
					t.Errorf("got %v after %s", err, time.Since(start))
				}
			})
		})
	}
}

func TestWaitForRollout_TimeoutHasReasons(t *testing.T) {
	full := serviceJob(1)
	full.Unplaced = []backends.UnplacedGroup{{Group: "web", Reasons: []string{"no nodes"}}}
	for name, tc := range map[string]struct {
		job  backends.JobDetail
		want string
	}{
		"cannot be placed": {full, "timed out: cannot be placed: web: no nodes"},
		"slow":             {serviceJob(1, allocation("1", "pending")), "timed out"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, ErrTimeout)
			defer cancel()
			err := WaitForRollout(ctx, newStates(tc.job), web, "", backends.WriteResult{}, ignore)
			if !errors.Is(err, ErrTimeout) || err.Error() != tc.want {
				t.Errorf("%s: got %v, want %q", name, err, tc.want)
			}
		})
	}
}
