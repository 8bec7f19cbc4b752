package nomadtest

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/sim"
)

// Evil is a job ID that tries to act on a terminal. Nomad takes it.
const Evil = "p-team1-\x1b[31mevil\nline\u202e"

// The jobs of the scenario, all on one node, node-1:
//
//	p-team1-web    in the namespaces default and other: 2 and 1 healthy allocations
//	p-team1-multi  a group "api" with the tasks app and sidecar, and a group "pend" that no node can hold
//	p-team1-fail   exits with 3, three times, and fails with its deployment
//	p-team1-slow   runs, but was not healthy in time: its deployment has failed
//	p-team1-done   a batch job that has ended
//	Evil           runs
//	p-team10-web, p-team2-shop, q-team2-db   other teams': run

// simScenario describes the scenario's jobs to a simulated cluster.
func simScenario(c *sim.Cluster, now time.Time) {
	c.AddNode(sim.Node{Name: "node-1", Drivers: []string{"raw_exec"}})
	c.AddNamespace("other")
	started := now.Add(-5 * time.Minute)
	service := func(namespace, id string, count int) sim.Job {
		return sim.Job{
			Namespace: namespace, ID: id, Submitted: started, Deployment: sim.Deployment{Status: "successful"},
			Groups: []sim.Group{{Name: "web", Count: count, Tasks: []sim.Task{{Name: "web", Driver: "raw_exec"}}}},
		}
	}
	c.Run(service("default", "p-team1-web", 2))
	c.Run(service("other", "p-team1-web", 1))
	for _, id := range []string{Evil, "p-team10-web", "p-team2-shop", "q-team2-db"} {
		c.Run(service("default", id, 1))
	}
	c.Run(sim.Job{
		ID: "p-team1-multi", Submitted: started, Deployment: sim.Deployment{Status: "running"},
		Groups: []sim.Group{
			{Name: "api", Count: 1, Tasks: []sim.Task{{Name: "app", Driver: "raw_exec"}, {Name: "sidecar", Driver: "raw_exec"}}},
			{
				Name: "pend", Count: 1, Tasks: []sim.Task{{Name: "never", Driver: "raw_exec"}}, Allocations: []sim.Allocation{},
				Unplaced: &sim.Unplaced{Queued: 1, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1}},
			},
		},
	})
	exit := func(after time.Duration) sim.Event { return sim.Terminated(started.Add(after), 3, "") }
	begin := func(after time.Duration) sim.Event { return sim.Started(started.Add(after)) }
	c.Run(sim.Job{
		ID: "p-team1-fail", Submitted: started, Deployment: sim.Deployment{Status: "failed"},
		Groups: []sim.Group{{
			Name: "fail", Tasks: []sim.Task{{Name: "fail", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{
				Node: "node-1", ClientStatus: "failed", Created: started, Modified: started.Add(5 * time.Second), Unhealthy: true,
				Tasks: map[string]sim.TaskState{"fail": {
					State: "dead", Failed: true,
					Events: []sim.Event{
						sim.Received(started), sim.TaskSetup(started), begin(0), exit(time.Second),
						sim.Restarting(started.Add(time.Second), time.Second), begin(2 * time.Second), exit(3 * time.Second),
						sim.Restarting(started.Add(3*time.Second), time.Second), begin(4 * time.Second), exit(5 * time.Second),
						sim.NotRestarting(started.Add(5*time.Second), 2),
					}[1:], // the last ten, as Nomad keeps them
				}},
			}},
		}},
	})
	c.Run(sim.Job{
		ID: "p-team1-slow", Submitted: started, Deployment: sim.Deployment{Status: "failed", Description: "Failed due to progress deadline"},
		Groups: []sim.Group{{
			Name: "slow", Tasks: []sim.Task{{Name: "slow", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{
				Node: "node-1", Created: started, Unhealthy: true,
				Tasks: map[string]sim.TaskState{"slow": {State: "running", Events: []sim.Event{
					sim.Received(started), sim.TaskSetup(started), begin(0),
					sim.Unhealthy(started.Add(4*time.Second), "Task not running for min_healthy_time of 2.999s by healthy_deadline of 3s"),
				}}},
			}},
		}},
	})
	c.Run(sim.Job{
		ID: "p-team1-done", Type: "batch", Submitted: started,
		Groups: []sim.Group{{
			Name: "done", Tasks: []sim.Task{{Name: "done", Driver: "raw_exec"}},
			Allocations: []sim.Allocation{{Node: "node-1", ClientStatus: "complete", Created: started}},
		}},
	})
}

// runScenario registers the scenario's jobs with a real cluster and waits until they are in their states.
func runScenario(client *api.Client) error {
	if _, err := client.Namespaces().Register(&api.Namespace{Name: "other"}, nil); err != nil {
		return err
	}
	sleep := []string{"/bin/sleep", "3600"}
	windows := api.NewConstraint("${attr.kernel.name}", "=", "windows")
	multi := service("default", "p-team1-multi", group("api", 1, task("app", sleep), task("sidecar", sleep)), group("pend", 1, task("never", sleep)))
	multi.TaskGroups[1].Constraints = []*api.Constraint{windows}
	fail := service("default", "p-team1-fail", group("fail", 1, task("fail", []string{"/bin/sh", "-c", "exit 3"})))
	slow := service("default", "p-team1-slow", group("slow", 1, task("slow", sleep)))
	// Starting a process takes longer than what is left of the deadline.
	slow.TaskGroups[0].Update.MinHealthyTime = pointer(2999 * time.Millisecond)
	slow.TaskGroups[0].Update.HealthyDeadline = pointer(3 * time.Second)
	slow.TaskGroups[0].Update.ProgressDeadline = pointer(6 * time.Second)
	done := service("default", "p-team1-done", group("done", 1, task("done", []string{"/bin/true"})))
	done.Type = pointer("batch")
	done.TaskGroups[0].Update = nil
	for _, job := range []*api.Job{
		service("default", "p-team1-web", group("web", 2, task("web", sleep))),
		service("other", "p-team1-web", group("web", 1, task("web", sleep))),
		service("default", Evil, group("web", 1, task("web", sleep))),
		service("default", "p-team10-web", group("web", 1, task("web", sleep))),
		service("default", "p-team2-shop", group("web", 1, task("web", sleep))),
		service("default", "q-team2-db", group("web", 1, task("web", sleep))),
		multi, fail, slow, done,
	} {
		if _, _, err := client.Jobs().Register(job, nil); err != nil {
			return fmt.Errorf("register %q: %w", *job.ID, err)
		}
	}
	return wait(90*time.Second, "the jobs are in their states", func() error { return inState(client) })
}

// inState returns what is still missing.
func inState(client *api.Client) error {
	everywhere := &api.QueryOptions{Namespace: "*"}
	deployments, _, err := client.Deployments().List(everywhere)
	if err != nil {
		return err
	}
	want := map[string]string{"p-team1-web": "successful", "p-team1-fail": "failed", "p-team1-slow": "failed", Evil: "successful", "p-team2-shop": "successful"}
	for _, d := range deployments {
		if status := want[d.JobID]; status != "" && d.Status != status {
			return fmt.Errorf("the deployment of %q is %s, not yet %s", d.JobID, d.Status, status)
		}
	}
	allocations, _, err := client.Allocations().List(everywhere)
	if err != nil {
		return err
	}
	wantClient := map[string]string{"p-team1-fail": "failed", "p-team1-done": "complete"}
	for _, a := range allocations {
		status := wantClient[a.JobID]
		if status == "" {
			status = "running"
		}
		if a.ClientStatus != status {
			return fmt.Errorf("an allocation of %q is %s, not yet %s", a.JobID, a.ClientStatus, status)
		}
		if status != "running" {
			continue
		}
		stats, err := client.Allocations().Stats(&api.Allocation{ID: a.ID}, everywhere)
		if err != nil {
			return err
		}
		for name := range a.TaskStates {
			if task := stats.Tasks[name]; task == nil || len(task.ResourceUsage.MemoryStats.Measured) == 0 {
				return fmt.Errorf("task %s of %q has not been measured yet", name, a.JobID)
			}
		}
	}
	const allocated = 11
	if len(deployments) < 9 || len(allocations) < allocated {
		return fmt.Errorf("%d deployments and %d allocations so far", len(deployments), len(allocations))
	}
	return nil
}

func service(namespace, id string, groups ...*api.TaskGroup) *api.Job {
	job := api.NewServiceJob(id, id, "global", 50)
	job.Namespace = &namespace
	job.TaskGroups = groups
	return job
}

// group returns a group whose tasks are restarted twice and whose failed allocations are not replaced.
func group(name string, count int, tasks ...*api.Task) *api.TaskGroup {
	g := api.NewTaskGroup(name, count)
	g.RestartPolicy = &api.RestartPolicy{Attempts: pointer(2), Interval: pointer(5 * time.Minute), Delay: pointer(time.Second), Mode: pointer("fail")}
	g.ReschedulePolicy = &api.ReschedulePolicy{Attempts: pointer(0), Unlimited: pointer(false)}
	g.Update = &api.UpdateStrategy{
		MinHealthyTime: pointer(time.Second), HealthyDeadline: pointer(30 * time.Second), ProgressDeadline: pointer(time.Minute),
	}
	g.Tasks = tasks
	return g
}

func task(name string, argv []string) *api.Task {
	t := api.NewTask(name, "raw_exec")
	t.Config = map[string]any{"command": argv[0], "args": argv[1:]}
	t.Resources = &api.Resources{CPU: pointer(20), MemoryMB: pointer(16)}
	return t
}

func pointer[T any](v T) *T { return &v }
