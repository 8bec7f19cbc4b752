package demo

import (
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
)

// withHTTPService adds a port "http" and a service with a TCP check and an HTTP check.
func withHTTPService(name string, g nomadsim.Group) nomadsim.Group {
	g.Networks = []nomadsim.Network{{Ports: []nomadsim.Port{{Label: "http"}}}}
	g.Services = []nomadsim.Service{{Name: name, Port: "http", Tags: []string{"public"}, Checks: []nomadsim.Check{
		{Name: "alive"}, {Name: "ready", Type: "http", Path: "/health"},
	}}}
	return g
}

// addTeam1Web adds a service whose checks pass.
func (e examples) addTeam1Web() {
	g := withHTTPService("team1-web", nomadsim.Group{
		Name: "web", Count: 2, Tasks: []nomadsim.Task{{Name: "web", Env: map[string]string{"LOG_LEVEL": "info"}}},
	})
	e.addJob(nomadsim.Job{
		ID: "p-team1-web", Deployment: successful, Submitted: e.ago(2 * week), Groups: []nomadsim.Group{g},
	})
}

// addTeam1API adds a service during an update: the third of its allocations has just been replaced.
func (e examples) addTeam1API() {
	version := func(image, level string) nomadsim.Group {
		return withHTTPService("team1-api", nomadsim.Group{Name: "web", Count: 3, Tasks: []nomadsim.Task{
			{
				Name: "app", Memory: 256, Config: map[string]any{"image": image, "ports": []string{"http"}},
				Env: map[string]string{"LOG_LEVEL": level}, Meta: map[string]string{"language": "go"},
				Templates: []nomadsim.Template{{
					Text: "DATABASE={{ key \"team1/api/database\" }}\n", Destination: "secrets/api.env", ChangeMode: "restart",
					Env: true,
				}},
			},
			{Name: "sidecar", Driver: "raw_exec", Sidecar: true},
		}})
	}
	first, second := e.ago(3*day), e.ago(6*time.Minute)
	latest := version("example/app:2", "debug")
	for i, after := range []time.Duration{0, 2 * time.Minute, 4 * time.Minute} {
		placed := second.Add(after)
		latest.Allocations = append(latest.Allocations, nomadsim.Allocation{
			Created: placed, HealthPending: i == 2,
			Previous: &nomadsim.Allocation{VersionsBehind: 1, Created: first, Modified: placed},
		})
	}
	job := nomadsim.Job{
		Meta:        map[string]string{"owner": "team1"},
		Constraints: []nomadsim.Constraint{{Left: "${attr.kernel.name}", Operator: "=", Right: "linux"}},
	}
	before := job
	before.Submitted, before.Deployment = first, successful
	before.Groups = []nomadsim.Group{version("example/app:1", "info")}
	job.ID, job.Submitted, job.Deployment = "p-team1-api", second, nomadsim.Deployment{Status: "running"}
	job.Groups, job.Versions = []nomadsim.Group{latest}, []nomadsim.Job{before}
	job.Evaluations = []nomadsim.Evaluation{
		{TriggeredBy: "deployment-watcher", Created: second.Add(2 * time.Minute)},
		{TriggeredBy: "deployment-watcher", Created: second.Add(4 * time.Minute)},
	}
	e.addJob(job)
}

// addTeam1Moved adds a service that was rescheduled after it ran out of memory, and is unhealthy on the new node, too.
func (e examples) addTeam1Moved() {
	started, out := e.ago(4*day), e.ago(26*time.Hour)
	g := withHTTPService("team1-web", nomadsim.Group{Name: "web", Tasks: []nomadsim.Task{{Name: "web"}}})
	g.Restart = &nomadsim.Restart{Attempts: 2, Interval: 5 * time.Minute, Delay: 15 * time.Second}
	events := []nomadsim.Event{jobspec.Received(started), jobspec.TaskSetup(started), jobspec.Started(started)}
	for _, before := range []time.Duration{3 * time.Minute, time.Minute} {
		killed := out.Add(-before)
		events = append(events, jobspec.OOMKilled(killed), jobspec.Restarting(killed, 17*time.Second),
			jobspec.Started(killed.Add(18*time.Second)))
	}
	events = append(events, jobspec.OOMKilled(out), jobspec.NotRestarting(out, 2))
	g.Allocations = []nomadsim.Allocation{{
		FailingChecks: map[string]nomadsim.CheckFailure{"ready": {StatusCode: 503, Output: "database is not reachable"}},
		Previous: &nomadsim.Allocation{
			Created: started, Modified: out, Tasks: map[string]nomadsim.TaskState{"web": {Events: events}},
		},
	}}
	e.addJob(nomadsim.Job{ID: "q-team1-web", Deployment: successful, Submitted: started, Groups: []nomadsim.Group{g}})
}
