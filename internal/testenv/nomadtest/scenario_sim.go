package nomadtest

import (
	"fmt"
	"strings"
	"time"

	"nomadctld/internal/sim"
)

// addScenario adds the jobs of the scenario to a simulated cluster.
func addScenario(c *sim.Cluster, now time.Time) {
	c.AddNode(sim.Node{Name: "node-1", Drivers: []string{"raw_exec"}})
	c.AddNamespace("other")
	started := now.Add(-5 * time.Minute)
	service := func(namespace, id string, count int) sim.Job {
		return sim.Job{
			Namespace: namespace, ID: id, Submitted: started, Deployment: sim.Deployment{Status: "successful"},
			Groups: []sim.Group{{Name: "web", Count: count, Tasks: []sim.Task{{Name: "web", Driver: "raw_exec"}}}},
		}
	}
	c.AddJob(service("default", "p-team1-web", 2))
	c.AddJob(service("other", "p-team1-web", 1))
	for _, id := range []string{HostileJobID, "p-team10-web", "p-team2-shop", "q-team2-db"} {
		c.AddJob(service("default", id, 1))
	}
	c.AddJob(sim.Job{
		ID: "p-team1-multi", Submitted: started, Deployment: sim.Deployment{Status: "running"},
		Groups: []sim.Group{
			{Name: "api", Count: 1, Tasks: []sim.Task{{Name: "app", Driver: "raw_exec"}, {Name: "sidecar", Driver: "raw_exec"}}},
			{
				Name: "pend", Count: 1, Constraints: []sim.Constraint{
					{Left: "${attr.kernel.name}", Operator: "=", Right: "windows"},
				},
				Tasks: []sim.Task{{Name: "never", Driver: "raw_exec"}}, Allocations: []sim.Allocation{},
				Unplaced: &sim.Unplaced{Queued: 1, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1}},
			},
		},
	})
	exit := func(after time.Duration) sim.Event { return sim.DockerTerminated(started.Add(after), 3, "") }
	start := func(after time.Duration) sim.Event { return sim.Started(started.Add(after)) }
	c.AddJob(sim.Job{
		ID: "p-team1-fail", Submitted: started, Deployment: sim.Deployment{Status: "failed"},
		Groups: []sim.Group{{
			Name: "fail", Tasks: []sim.Task{{Name: "fail", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{
				Node: "node-1", ClientStatus: "failed", Created: started, Modified: started.Add(5 * time.Second), Unhealthy: true,
				Tasks: map[string]sim.TaskState{"fail": {
					State: "dead", Failed: true,
					Events: []sim.Event{
						sim.Received(started), sim.TaskSetup(started), start(0), exit(time.Second),
						sim.Restarting(started.Add(time.Second), time.Second), start(2 * time.Second), exit(3 * time.Second),
						sim.Restarting(started.Add(3*time.Second), time.Second), start(4 * time.Second), exit(5 * time.Second),
						sim.NotRestarting(started.Add(5*time.Second), 2),
					}[1:], // Nomad keeps the last ten
				}},
			}},
		}},
	})
	c.AddJob(sim.Job{
		ID: "p-team1-slow", Submitted: started,
		Deployment: sim.Deployment{Status: "failed", Description: "Failed due to progress deadline"},
		Groups: []sim.Group{{
			Name: "slow", Tasks: []sim.Task{{Name: "slow", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{
				Node: "node-1", Created: started, Unhealthy: true,
				Tasks: map[string]sim.TaskState{"slow": {State: "running", Events: []sim.Event{
					sim.Received(started), sim.TaskSetup(started), start(0),
					sim.Unhealthy(started.Add(4*time.Second),
						"Task not running for min_healthy_time of 2.999s by healthy_deadline of 3s"),
				}}},
			}},
		}},
	})
	c.AddJob(sim.Job{
		ID: "p-team1-done", Type: "batch", Submitted: started,
		Groups: []sim.Group{{
			Name: "done", Tasks: []sim.Task{{Name: "done", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{Node: "node-1", ClientStatus: "complete", Created: started}},
		}},
	})
	addParentJobs(c, started)
	addVersionedJobs(c, started)
	addLogJobs(c, started)
	c.AddJob(sim.Job{
		ID: "p-team1-checked", Submitted: started, Deployment: sim.Deployment{Status: "successful"},
		Groups: []sim.Group{{
			Name: "api", Tasks: []sim.Task{{Name: "web", Driver: "raw_exec"}},
			Services: []sim.Service{{Name: "team1-checked", Address: "127.0.0.1", Port: "4646", Checks: []sim.Check{
				{Name: "alive", Interval: 2 * time.Second, Timeout: time.Second},
				{Name: "ready", Type: "http", Path: "/not/ready", Interval: 2 * time.Second, Timeout: time.Second},
			}}},
			Allocations: []sim.Allocation{{
				Node: "node-1", Created: started, FailingChecks: map[string]sim.CheckFailure{"ready": {StatusCode: 404}},
			}},
		}},
	})
}

// addLogJobs adds the jobs for tests of exec and logs. Only tasks that keep running have a process. The logs are
// written here, so that tests need not wait for them.
func addLogJobs(c *sim.Cluster, started time.Time) {
	deployed := sim.Deployment{Status: "successful"}
	sleep := []string{"/bin/sleep", "3600"}
	run := func(j sim.Job, g sim.Group, wrote map[string]string) {
		g.Tasks[0].Driver = "raw_exec"
		j.Submitted, j.Groups = started, []sim.Group{g}
		c.AddJob(j)
		for _, id := range c.Allocations("default", j.ID) {
			for stream, text := range wrote {
				c.Log(id, g.Tasks[0].Name, stream, []byte(text))
			}
		}
	}
	run(sim.Job{ID: "p-team3-shell", Deployment: deployed}, sim.Group{
		Name: "shell", Tasks: []sim.Task{{Name: "box", Command: sleep}},
	}, nil)
	var out, err strings.Builder
	for i := range 150 {
		fmt.Fprintln(&out, "out", i+1)
		fmt.Fprintln(&err, "err", i+1)
	}
	run(sim.Job{ID: "p-team3-talker", Deployment: deployed}, sim.Group{
		Name: "talk", Count: 2, Tasks: []sim.Task{{Name: "talk", Command: sleep}},
	}, map[string]string{"stdout": out.String(), "stderr": err.String()})
	run(sim.Job{ID: "p-team3-finished", Type: "batch"}, sim.Group{
		Name: "run", Tasks: []sim.Task{{Name: "once"}},
		Allocations: []sim.Allocation{{Node: "node-1", ClientStatus: "complete", Created: started}},
	}, map[string]string{"stdout": "hello from once\n", "stderr": "bye\n"})
	exit := func(after time.Duration) sim.Event { return sim.ExecTerminated(started.Add(after), 7, 0) }
	run(sim.Job{
		ID:         "p-team3-crashed",
		Deployment: sim.Deployment{Status: "failed", Description: "Failed due to unhealthy allocations"},
	}, sim.Group{
		Name: "crash", Tasks: []sim.Task{{Name: "crash"}},
		Restart: &sim.Restart{Attempts: 1, Interval: 5 * time.Minute, Delay: time.Second},
		Allocations: []sim.Allocation{{
			Node: "node-1", ClientStatus: "failed", Created: started, Modified: started.Add(2 * time.Second), Unhealthy: true,
			Tasks: map[string]sim.TaskState{"crash": {State: "dead", Failed: true, Events: []sim.Event{
				sim.Received(started), sim.TaskSetup(started), sim.Started(started), exit(0), sim.Restarting(started, time.Second),
				sim.Started(started.Add(time.Second)), exit(time.Second), sim.NotRestarting(started.Add(time.Second), 1),
			}}},
		}},
	}, map[string]string{"stdout": "attempt\nattempt\n"})
}

// addParentJobs adds the periodic and parameterized jobs and their children.
func addParentJobs(c *sim.Cluster, started time.Time) {
	batch := func(j sim.Job, allocations ...sim.Allocation) {
		j.Type, j.Submitted = "batch", started
		j.Groups = []sim.Group{{Name: "run", Tasks: []sim.Task{{Name: "run", Driver: "raw_exec"}}, Allocations: allocations}}
		c.AddJob(j)
	}
	complete := sim.Allocation{
		Node: "node-1", ClientStatus: "complete", Created: started, Modified: started.Add(time.Second),
	}
	batch(sim.Job{ID: "p-team1-cron", Periodic: &sim.Periodic{Spec: leapDayCron, TimeZone: timeZone}})
	batch(sim.Job{ID: fmt.Sprintf("p-team1-cron/periodic-%d", started.Unix()), ParentID: "p-team1-cron"}, complete)
	batch(sim.Job{ID: "p-team1-crons", Periodic: &sim.Periodic{Specs: []string{leapDayCron, otherLeapDayCron}}})
	batch(sim.Job{ID: "p-team1-off", Periodic: &sim.Periodic{Spec: leapDayCron, Disabled: true}})
	file := &sim.Parameterized{MetaRequired: []string{"file"}}
	batch(sim.Job{ID: "p-team1-import", Parameterized: file})
	batch(sim.Job{
		ID: fmt.Sprintf("p-team1-import/dispatch-%d-fcf70557", started.Unix()), ParentID: "p-team1-import",
		Parameterized: file,
		Meta:          map[string]string{"file": "a.csv"},
	}, complete)
}

// addVersionedJobs adds the jobs whose first allocations were replaced.
func addVersionedJobs(c *sim.Cluster, started time.Time) {
	successful := sim.Deployment{Status: "successful"}
	web := func(mode string) sim.Group {
		return sim.Group{
			Name: "web", Tasks: []sim.Task{{Name: "web", Driver: "raw_exec", Env: map[string]string{"MODE": mode}}},
		}
	}
	later := started.Add(3 * time.Second)
	now := web("new")
	now.Allocations = []sim.Allocation{
		{Node: "node-1", Created: later.Add(3 * time.Second), Previous: &sim.Allocation{
			Node: "node-1", VersionsBehind: 1, Created: started, Modified: later.Add(3 * time.Second),
		}},
		{Node: "node-1", Created: later},
	}
	c.AddJob(sim.Job{
		ID: "p-team1-versions", Submitted: later, Groups: []sim.Group{now}, Deployment: successful,
		Versions:    []sim.Job{{Submitted: started, Groups: []sim.Group{web("old")}, Deployment: successful}},
		Evaluations: []sim.Evaluation{{TriggeredBy: "deployment-watcher", Created: later.Add(3 * time.Second)}},
	})

	failed := started.Add(time.Second)
	c.AddJob(sim.Job{ID: "p-team1-moved", Submitted: started, Deployment: successful, Groups: []sim.Group{{
		Name: "web", Tasks: []sim.Task{{Name: "web", Driver: "raw_exec"}},
		Restart:    &sim.Restart{Interval: 5 * time.Minute, Delay: time.Second},
		Reschedule: &sim.Reschedule{Attempts: 1, Interval: time.Hour, Delay: 5 * time.Second},
		Allocations: []sim.Allocation{{Node: "node-1", Previous: &sim.Allocation{
			Node: "node-1", Created: started, Modified: failed, Unhealthy: true,
			Tasks: map[string]sim.TaskState{"web": {State: "dead", Failed: true, Events: []sim.Event{
				sim.Received(started), sim.TaskSetup(started), sim.Started(started), sim.DockerTerminated(failed, 1, ""),
				sim.NotRestarting(failed, 0), sim.Unhealthy(failed, "Unhealthy because of failed task"),
			}}},
		}}},
	}}})
}
