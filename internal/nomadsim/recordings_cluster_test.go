package nomadsim

import (
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// recordedCluster has jobs like those of the recordings, with the same IDs.
func recordedCluster() *Cluster {
	c := New()
	c.AddToken("root", Rights{Management: true})
	c.AddNode(Node{
		Name: "node-1", ID: "781ce020-0b43-bff5-d4b3-dd7da1d7f972", Drivers: []string{"docker", "raw_exec", "exec"},
	})
	at := time.Date(2026, 11, 22, 10, 29, 10, 0, time.UTC)
	periodic := func(id string, p Periodic) {
		c.AddJob(Job{
			ID: id, Type: "batch", Submitted: at, Periodic: &p, Groups: []Group{{Name: "g", Tasks: []Task{{Name: "t"}}}},
		})
	}
	one := func(j Job, a Allocation) {
		j.Submitted = at
		j.Groups = []Group{{Name: "g", Tasks: []Task{{Name: "t"}}, Allocations: []Allocation{a}}}
		c.AddJob(j)
	}
	restarted := []Event{
		jobspec.Received(at), jobspec.TaskSetup(at), jobspec.Started(at), jobspec.DockerTerminated(at, 137, ""),
		jobspec.Restarting(at, 18348959379), jobspec.Started(at),
	}
	for ns, ids := range map[string][]string{"default": {"b14012d6-bcdc-9f32-d3d6-997347fe34e4", ""}, "other": {""}} {
		web := Group{Name: "web", Tasks: []Task{{Name: "web"}}}
		for _, id := range ids {
			web.Allocations = append(web.Allocations, Allocation{
				ID: id, Tasks: map[string]TaskState{"web": {Events: restarted, CPU: 4, RSS: 122880, MaxRSS: 11161600}},
			})
		}
		c.AddJob(Job{Namespace: ns, ID: "p-team1-web", Deployment: successful, Submitted: at, Groups: []Group{web}})
	}
	failed := Deployment{Status: "failed", Description: "Failed due to unhealthy allocations"}
	one(Job{ID: "q-team2-oom", Deployment: failed}, Allocation{
		ID: "eaeee473-cd70-5c5e-dfbe-5dda858659f6", ClientStatus: "failed", Tasks: map[string]TaskState{"t": {
			Events: []Event{
				jobspec.Started(at), jobspec.OOMKilled(at), jobspec.Restarting(at, time.Second), jobspec.Started(at),
				jobspec.OOMKilled(at), jobspec.NotRestarting(at, 3),
			},
		}},
	})
	one(Job{ID: "p-team1-fail", Deployment: failed}, Allocation{
		ID: "5643a79b-0dc4-26bc-741f-5ba21c7a4cd5", ClientStatus: "failed", Tasks: map[string]TaskState{"t": {
			Events: []Event{
				jobspec.Started(at), jobspec.DockerTerminated(at, 3, ""), jobspec.Restarting(at, time.Second),
				jobspec.DockerTerminated(at, 3, ""),
				jobspec.NotRestarting(at, 2),
			},
		}},
	})
	lamp := Service{Name: "lamp", Port: "http", Checks: []Check{{Name: `service: "lamp" check`, Type: "http", Path: "/"}}}
	c.AddJob(Job{ID: "q-fii-lamp", Deployment: Deployment{Status: "failed"}, Submitted: at, Groups: []Group{{
		Name: "g", Tasks: []Task{{Name: "t"}}, Networks: []Network{{Ports: []Port{{Label: "http"}}}},
		Services: []Service{lamp},
		Allocations: []Allocation{{
			ID: "e8eefb5e-372b-bc39-68e6-69211aa7f9c4", Unhealthy: true,
			Tasks: map[string]TaskState{"t": {
				Events: []Event{
					jobspec.Received(at), jobspec.Started(at),
					jobspec.Unhealthy(at, "Task not running for min_healthy_time of 1s by healthy_deadline of 8s"),
				},
			}},
		}},
	}}})
	c.AddJob(Job{ID: "t-team1-multi", Deployment: Deployment{Status: "running"}, Submitted: at, Groups: []Group{
		{
			Name: "api", Tasks: []Task{{Name: "app"}, {Name: "sidecar", Driver: "raw_exec", Sidecar: true}},
			Allocations: []Allocation{{ID: "13763245-a14b-2a4d-3fa9-9c5de9f0ac68", Tasks: map[string]TaskState{
				"app": {Events: restarted, RSS: 53248, MaxRSS: 11120640}, "sidecar": {RSS: 1859584},
			}}},
		},
		{
			Name: "pend", Constraints: []Constraint{{Left: "${attr.kernel.name}", Operator: "=", Right: "windows"}},
			Unplaced: &Unplaced{ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1}},
		},
	}})
	periodic("p-es-log-curator", Periodic{Specs: []string{"52 6,15,18 * * * *"}, ProhibitOverlap: true})
	periodic("p-iss-frontend-sync", Periodic{Spec: "11/15 * * * * *", TimeZone: "Europe/Brussels"})
	one(Job{ID: "p-iss-frontend-sync/periodic-1795344467", ParentID: "p-iss-frontend-sync", Type: "batch"}, Allocation{
		ID: "203328eb-1730-540b-3143-e384ac9cb64a", ClientStatus: "complete",
		Tasks: map[string]TaskState{"t": {NoStats: true}},
	})
	file := &Parameterized{MetaRequired: []string{"file"}}
	c.AddJob(Job{ID: "t-team2-import", Type: "batch", Parameterized: file, Submitted: at})
	one(Job{
		ID: "t-team2-import/dispatch-1795344467-fcf70557", ParentID: "t-team2-import", Type: "batch", Parameterized: file,
		Meta: map[string]string{"file": "a.csv"},
	}, Allocation{ID: "2041b43f-35ca-2541-c9f6-d89c8d1d96f5", ClientStatus: "complete"})
	addSecondClusterJobs(c, at)
	return c
}

// addSecondClusterJobs adds the jobs of a second recorded cluster.
func addSecondClusterJobs(c *Cluster, at time.Time) {
	run := func(j Job, g Group, a ...Allocation) {
		g.Name, g.Allocations = "web", a
		if g.Tasks == nil {
			g.Tasks = []Task{{Name: "web", Driver: "raw_exec"}}
		}
		j.Submitted, j.Groups = at, []Group{g}
		c.AddJob(j)
	}
	never := "0 5 29 2 *"
	run(Job{
		ID: "p-team1-cron", Type: "batch",
		Periodic: &Periodic{Spec: never, TimeZone: "Europe/Brussels", ProhibitOverlap: true},
	}, Group{})
	run(Job{ID: "p-team1-off", Type: "batch", Periodic: &Periodic{Spec: never, Disabled: true}}, Group{})
	run(Job{ID: "p-team1-import", Type: "batch", Parameterized: &Parameterized{MetaRequired: []string{"file"}}}, Group{})

	linux := []Constraint{{Left: "${attr.kernel.name}", Operator: "=", Right: "linux"}}
	version := func(mode string, n int) Group {
		return Group{Name: "web", Count: n, Constraints: linux, Meta: map[string]string{"tier": "x"}, Tasks: []Task{{
			Name: "web", Driver: "raw_exec", Env: map[string]string{"MODE": mode}, Meta: map[string]string{"color": "blue"},
			Constraints: linux, Templates: []Template{
				{Text: "PORT=80\n", Destination: "local/app.env", ChangeMode: "noop", Env: true},
			},
		}}}
	}
	owned := map[string]string{"owner": "team1"}
	run(Job{
		ID: "p-team1-versions", Meta: owned, Constraints: linux, Deployment: successful,
		Versions:    []Job{{Meta: owned, Constraints: linux, Groups: []Group{version("old", 1)}, Deployment: successful}},
		Evaluations: []Evaluation{{TriggeredBy: "deployment-watcher"}},
	}, version("new", 2),
		Allocation{
			ID:       "1d0208e9-b431-5aa8-bc71-baa9bd3f279f",
			Previous: &Allocation{ID: "7e862d56-78c3-107e-e079-a12c5abcad0e", VersionsBehind: 1},
		},
		Allocation{ID: "063e8c8e-b331-3c86-4632-36514cd92bae"})

	run(Job{ID: "p-team1-moved", Deployment: successful}, Group{
		Restart:    &Restart{Interval: 5 * time.Minute, Delay: time.Second},
		Reschedule: &Reschedule{Attempts: 1, Interval: time.Hour, Delay: 5 * time.Second},
	}, Allocation{
		ID: "fe825942-ad40-1a12-9a94-7fb3f4723fd4", Previous: &Allocation{ID: "6a0053c0-7d79-dac7-4a21-59a4ff8f9d2f"},
	})

	run(Job{ID: "p-team1-checked", Deployment: successful}, Group{Services: []Service{{
		Name: "team1-checked", Port: "24646", Address: "127.0.0.1", Tags: []string{"a"},
		Checks: []Check{{Name: "alive"}, {Name: "ready", Type: "http", Path: "/nope"}, {Name: "closed", Port: "1"}},
	}}}, Allocation{ID: "b66ab8f4-b04e-e2e3-787a-c168f83159a4", FailingChecks: map[string]CheckFailure{
		"ready": {StatusCode: 404}, "closed": {Output: "dial tcp 127.0.0.1:1: connect: connection refused"},
	}})

	run(Job{ID: "p-team1-ports", Deployment: successful}, Group{
		Networks: []Network{{Ports: []Port{{Label: "http"}, {Label: "admin", Value: 24999}}}},
		Services: []Service{{Name: "team1-ports", Port: "http", Tags: []string{"x"}}},
		Tasks: []Task{{Name: "web", Driver: "raw_exec", Services: []Service{{
			Name: "team1-ports-task", Port: "http", Checks: []Check{{Name: "web-tcp", OnUpdate: "ignore"}},
		}}}},
	}, Allocation{ID: "78924f97-5ec3-1db0-9b17-f7b94efba464", FailingChecks: map[string]CheckFailure{
		"web-tcp": {Output: "dial tcp 127.0.0.1:20775: connect: connection refused"},
	}})
}
