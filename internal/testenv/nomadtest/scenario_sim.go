package nomadtest

import (
	"fmt"
	"strings"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
)

// addScenario adds the jobs of the scenario to a simulated cluster.
func addScenario(c *nomadsim.Cluster, now time.Time) {
	c.AddNode(nomadsim.Node{Name: "node-1", Drivers: []string{"raw_exec"}})
	c.AddNamespace("other")
	started := now.Add(-5 * time.Minute)
	service := func(namespace, id string, count int) nomadsim.Job {
		return nomadsim.Job{
			Namespace: namespace, ID: id, Submitted: started, Deployment: nomadsim.Deployment{Status: "successful"},
			Groups: []nomadsim.Group{{Name: "web", Count: count, Tasks: []nomadsim.Task{{Name: "web", Driver: "raw_exec"}}}},
		}
	}
	c.AddJob(service("default", "p-team1-web", 2))
	c.AddJob(service("other", "p-team1-web", 1))
	for _, id := range []string{HostileJobID, "p-team10-web", "p-team2-shop", "q-team2-db"} {
		c.AddJob(service("default", id, 1))
	}
	c.AddJob(nomadsim.Job{
		ID: "p-team1-multi", Submitted: started, Deployment: nomadsim.Deployment{Status: "running"},
		Groups: []nomadsim.Group{
			{Name: "api", Count: 1, Tasks: []nomadsim.Task{
				{Name: "app", Driver: "raw_exec"}, {Name: "sidecar", Driver: "raw_exec"},
			}},
			{
				Name: "pend", Count: 1, Constraints: []nomadsim.Constraint{
					{Left: "${attr.kernel.name}", Operator: "=", Right: "windows"},
				},
				Tasks: []nomadsim.Task{{Name: "never", Driver: "raw_exec"}}, Allocations: []nomadsim.Allocation{},
				Unplaced: &nomadsim.Unplaced{Queued: 1, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1}},
			},
		},
	})
	// The docker driver's exit event, because the tables of the original nomadctld show it.
	exit := func(after time.Duration) nomadsim.Event { return jobspec.DockerTerminated(started.Add(after), 3, "") }
	start := func(after time.Duration) nomadsim.Event { return jobspec.Started(started.Add(after)) }
	c.AddJob(nomadsim.Job{
		ID: "p-team1-fail", Submitted: started, Deployment: nomadsim.Deployment{Status: "failed"},
		Groups: []nomadsim.Group{{
			Name: "fail", Tasks: []nomadsim.Task{{Name: "fail", Driver: "raw_exec"}}, Reschedule: &nomadsim.Reschedule{},
			Allocations: []nomadsim.Allocation{{
				Node: "node-1", ClientStatus: "failed", Created: started, Modified: started.Add(5 * time.Second), Unhealthy: true,
				Tasks: map[string]nomadsim.TaskState{"fail": {
					State: "dead", Failed: true,
					Events: []nomadsim.Event{
						jobspec.Received(started), jobspec.TaskSetup(started), start(0), exit(time.Second),
						jobspec.Restarting(started.Add(time.Second), time.Second), start(2 * time.Second), exit(3 * time.Second),
						jobspec.Restarting(started.Add(3*time.Second), time.Second), start(4 * time.Second), exit(5 * time.Second),
						jobspec.NotRestarting(started.Add(5*time.Second), 2),
					}[1:], // Nomad retains the last ten
				}},
			}},
		}},
	})
	c.AddJob(nomadsim.Job{
		ID: "p-team1-slow", Submitted: started,
		Deployment: nomadsim.Deployment{Status: "failed", Description: "Failed due to progress deadline"},
		Groups: []nomadsim.Group{{
			Name: "slow", Tasks: []nomadsim.Task{{Name: "slow", Driver: "raw_exec"}},
			Allocations: []nomadsim.Allocation{{
				Node: "node-1", Created: started, Unhealthy: true,
				Tasks: map[string]nomadsim.TaskState{"slow": {State: "running", Events: []nomadsim.Event{
					jobspec.Received(started), jobspec.TaskSetup(started), start(0),
					jobspec.Unhealthy(started.Add(4*time.Second),
						"Task not running for min_healthy_time of 2.999s by healthy_deadline of 3s"),
				}}},
			}},
		}},
	})
	c.AddJob(nomadsim.Job{
		ID: "p-team1-done", Type: "batch", Submitted: started,
		Groups: []nomadsim.Group{{
			Name: "done", Tasks: []nomadsim.Task{{Name: "done", Driver: "raw_exec"}},
			Allocations: []nomadsim.Allocation{{Node: "node-1", ClientStatus: "complete", Created: started}},
		}},
	})
	addParentJobs(c, started)
	addVersionedJobs(c, started)
	addLogJobs(c, started)
	c.AddJob(nomadsim.Job{
		ID: "p-team1-checked", Submitted: started, Deployment: nomadsim.Deployment{Status: "successful"},
		Groups: []nomadsim.Group{{
			Name: "api", Tasks: []nomadsim.Task{{Name: "web", Driver: "raw_exec"}},
			Services: []nomadsim.Service{{Name: "team1-checked", Address: "127.0.0.1", Port: "4646", Checks: []nomadsim.Check{
				{Name: "alive", Interval: 2 * time.Second, Timeout: time.Second},
				{Name: "ready", Type: "http", Path: "/not/ready", Interval: 2 * time.Second, Timeout: time.Second},
			}}},
			Allocations: []nomadsim.Allocation{{
				Node: "node-1", Created: started, FailingChecks: map[string]nomadsim.CheckFailure{"ready": {StatusCode: 404}},
			}},
		}},
	})
}

// addLogJobs adds the jobs for tests of exec and logs. Only tasks that keep running have a process. The logs are
// written here, so that tests need not wait for them.
func addLogJobs(c *nomadsim.Cluster, started time.Time) {
	deployed := nomadsim.Deployment{Status: "successful"}
	sleep := []string{"/bin/sleep", "3600"}
	run := func(j nomadsim.Job, g nomadsim.Group, wrote map[string]string) {
		g.Tasks[0].Driver = "raw_exec"
		j.Submitted, j.Groups = started, []nomadsim.Group{g}
		c.AddJob(j)
		for _, id := range c.Allocations("default", j.ID) {
			for stream, text := range wrote {
				c.Log(id, g.Tasks[0].Name, stream, []byte(text))
			}
		}
	}
	run(nomadsim.Job{ID: "p-team3-shell", Deployment: deployed}, nomadsim.Group{
		Name: "shell", Tasks: []nomadsim.Task{{Name: "box", Command: sleep}},
	}, nil)
	var out, err strings.Builder
	for i := range 150 {
		fmt.Fprintln(&out, "out", i+1)
		fmt.Fprintln(&err, "err", i+1)
	}
	run(nomadsim.Job{ID: "p-team3-talker", Deployment: deployed}, nomadsim.Group{
		Name: "talk", Count: 2, Tasks: []nomadsim.Task{{Name: "talk", Command: sleep}},
	}, map[string]string{"stdout": out.String(), "stderr": err.String()})
	run(nomadsim.Job{ID: "p-team3-finished", Type: "batch"}, nomadsim.Group{
		Name: "run", Tasks: []nomadsim.Task{{Name: "once"}},
		Allocations: []nomadsim.Allocation{{Node: "node-1", ClientStatus: "complete", Created: started}},
	}, map[string]string{"stdout": "hello from once\n", "stderr": "bye\n"})
	exit := func(after time.Duration) nomadsim.Event { return jobspec.ExecTerminated(started.Add(after), 7, 0) }
	run(nomadsim.Job{
		ID:         "p-team3-crashed",
		Deployment: nomadsim.Deployment{Status: "failed", Description: "Failed due to unhealthy allocations"},
	}, nomadsim.Group{
		Name: "crash", Tasks: []nomadsim.Task{{Name: "crash"}},
		Restart: &nomadsim.Restart{Attempts: 1, Interval: 5 * time.Minute, Delay: time.Second},
		Allocations: []nomadsim.Allocation{{
			Node: "node-1", ClientStatus: "failed", Created: started, Modified: started.Add(2 * time.Second), Unhealthy: true,
			Tasks: map[string]nomadsim.TaskState{"crash": {State: "dead", Failed: true, Events: []nomadsim.Event{
				jobspec.Received(started), jobspec.TaskSetup(started), jobspec.Started(started), exit(0),
				jobspec.Restarting(started, time.Second),
				jobspec.Started(started.Add(time.Second)), exit(time.Second), jobspec.NotRestarting(started.Add(time.Second), 1),
			}}},
		}},
	}, map[string]string{"stdout": "attempt\nattempt\n"})
}

// addParentJobs adds the periodic and parameterized jobs and their children.
func addParentJobs(c *nomadsim.Cluster, started time.Time) {
	batch := func(j nomadsim.Job, allocations ...nomadsim.Allocation) {
		j.Type, j.Submitted = "batch", started
		j.Groups = []nomadsim.Group{{
			Name: "run", Tasks: []nomadsim.Task{{Name: "run", Driver: "raw_exec"}}, Allocations: allocations,
		}}
		c.AddJob(j)
	}
	complete := nomadsim.Allocation{
		Node: "node-1", ClientStatus: "complete", Created: started, Modified: started.Add(time.Second),
	}
	batch(nomadsim.Job{ID: "p-team1-cron", Periodic: &nomadsim.Periodic{Spec: leapDayCron, TimeZone: timeZone}})
	batch(nomadsim.Job{ID: fmt.Sprintf("p-team1-cron/periodic-%d", started.Unix()), ParentID: "p-team1-cron"}, complete)
	batch(nomadsim.Job{ID: "p-team1-crons", Periodic: &nomadsim.Periodic{Specs: []string{leapDayCron, otherLeapDayCron}}})
	batch(nomadsim.Job{ID: "p-team1-off", Periodic: &nomadsim.Periodic{Spec: leapDayCron, Disabled: true}})
	file := &nomadsim.Parameterized{MetaRequired: []string{"file"}}
	batch(nomadsim.Job{ID: "p-team1-import", Parameterized: file})
	batch(nomadsim.Job{
		ID: fmt.Sprintf("p-team1-import/dispatch-%d-fcf70557", started.Unix()), ParentID: "p-team1-import",
		Parameterized: file,
		Meta:          map[string]string{"file": "a.csv"},
	}, complete)
}

// addVersionedJobs adds the jobs whose first allocations were replaced.
func addVersionedJobs(c *nomadsim.Cluster, started time.Time) {
	successful := nomadsim.Deployment{Status: "successful"}
	web := func(mode string) nomadsim.Group {
		return nomadsim.Group{
			Name: "web", Tasks: []nomadsim.Task{{Name: "web", Driver: "raw_exec", Env: map[string]string{"MODE": mode}}},
		}
	}
	later := started.Add(3 * time.Second)
	now := web("new")
	now.Allocations = []nomadsim.Allocation{
		{Node: "node-1", Created: later.Add(3 * time.Second), Previous: &nomadsim.Allocation{
			Node: "node-1", VersionsBehind: 1, Created: started, Modified: later.Add(3 * time.Second),
		}},
		{Node: "node-1", Created: later},
	}
	c.AddJob(nomadsim.Job{
		ID: "p-team1-versions", Submitted: later, Groups: []nomadsim.Group{now}, Deployment: successful,
		Versions:    []nomadsim.Job{{Submitted: started, Groups: []nomadsim.Group{web("old")}, Deployment: successful}},
		Evaluations: []nomadsim.Evaluation{{TriggeredBy: "deployment-watcher", Created: later.Add(3 * time.Second)}},
	})

	failed := started.Add(time.Second)
	c.AddJob(nomadsim.Job{ID: "p-team1-moved", Submitted: started, Deployment: successful, Groups: []nomadsim.Group{{
		Name: "web", Tasks: []nomadsim.Task{{Name: "web", Driver: "raw_exec"}},
		Restart:    &nomadsim.Restart{Interval: 5 * time.Minute, Delay: time.Second},
		Reschedule: &nomadsim.Reschedule{Attempts: 1, Interval: time.Hour, Delay: 5 * time.Second},
		Allocations: []nomadsim.Allocation{{Node: "node-1", Previous: &nomadsim.Allocation{
			Node: "node-1", Created: started, Modified: failed, Unhealthy: true,
			Tasks: map[string]nomadsim.TaskState{"web": {State: "dead", Failed: true, Events: []nomadsim.Event{
				jobspec.Received(started), jobspec.TaskSetup(started), jobspec.Started(started),
				jobspec.DockerTerminated(failed, 1, ""),
				jobspec.NotRestarting(failed, 0), jobspec.Unhealthy(failed, "Unhealthy because of failed task"),
			}}},
		}}},
	}}})
}
