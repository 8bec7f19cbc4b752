package nomadsim

import "time"

// withHTTPService adds a port "http" and a service with a TCP check and an HTTP check.
func withHTTPService(name string, g Group) Group {
	g.Networks = []Network{{Ports: []Port{{Label: "http"}}}}
	g.Services = []Service{{Name: name, Port: "http", Tags: []string{"public"}, Checks: []Check{
		{Name: "alive"}, {Name: "ready", Type: "http", Path: "/health"},
	}}}
	return g
}

// addTeam1Web adds a service whose checks pass.
func (e examples) addTeam1Web() {
	g := withHTTPService("team1-web",
		Group{Name: "web", Count: 2, Tasks: []Task{{Name: "web", Env: map[string]string{"LOG_LEVEL": "info"}}}})
	e.addJob(Job{ID: "p-team1-web", Deployment: successful, Submitted: e.ago(2 * week), Groups: []Group{g}})
}

// addTeam1API adds a service during an update: the third of its allocations has just been replaced.
func (e examples) addTeam1API() {
	version := func(image, level string) Group {
		return withHTTPService("team1-api", Group{Name: "web", Count: 3, Tasks: []Task{
			{
				Name: "app", Memory: 256, Config: object{"image": image, "ports": []string{"http"}},
				Env: map[string]string{"LOG_LEVEL": level}, Meta: map[string]string{"language": "go"},
				Templates: []Template{{
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
		latest.Allocations = append(latest.Allocations, Allocation{
			Created: placed, HealthPending: i == 2,
			Previous: &Allocation{VersionsBehind: 1, Created: first, Modified: placed},
		})
	}
	job := Job{
		Meta: map[string]string{"owner": "team1"}, Constraints: []Constraint{{"${attr.kernel.name}", "=", "linux"}},
	}
	before := job
	before.Submitted, before.Deployment, before.Groups = first, successful, []Group{version("example/app:1", "info")}
	job.ID, job.Submitted, job.Deployment = "p-team1-api", second, Deployment{Status: "running"}
	job.Groups, job.Versions = []Group{latest}, []Job{before}
	job.Evaluations = []Evaluation{
		{TriggeredBy: "deployment-watcher", Created: second.Add(2 * time.Minute)},
		{TriggeredBy: "deployment-watcher", Created: second.Add(4 * time.Minute)},
	}
	e.addJob(job)
}

// addTeam1Moved adds a service that was rescheduled after it ran out of memory, and is unhealthy on the new node, too.
func (e examples) addTeam1Moved() {
	started, out := e.ago(4*day), e.ago(26*time.Hour)
	g := withHTTPService("team1-web", Group{Name: "web", Tasks: []Task{{Name: "web"}}})
	g.Restart = &Restart{Attempts: 2, Interval: 5 * time.Minute, Delay: 15 * time.Second}
	events := []Event{Received(started), TaskSetup(started), Started(started)}
	for _, before := range []time.Duration{3 * time.Minute, time.Minute} {
		killed := out.Add(-before)
		events = append(events, OOMKilled(killed), Restarting(killed, 17*time.Second), Started(killed.Add(18*time.Second)))
	}
	events = append(events, OOMKilled(out), NotRestarting(out, 2))
	g.Allocations = []Allocation{{
		FailingChecks: map[string]CheckFailure{"ready": {StatusCode: 503, Output: "database is not reachable"}},
		Previous:      &Allocation{Created: started, Modified: out, Tasks: map[string]TaskState{"web": {Events: events}}},
	}}
	e.addJob(Job{ID: "q-team1-web", Deployment: successful, Submitted: started, Groups: []Group{g}})
}
