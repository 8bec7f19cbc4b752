package nomadsim

import (
	"fmt"
	"time"
)

// Examples returns a cluster with the jobs that the README of the original nomadctld shows for one tier, and the jobs
// of a few more teams. All times are relative to now. name is "production", "quality" or "test"; it panics for other
// names. The tasks have no processes until RunTasks is called.
func Examples(name string, now time.Time) *Cluster {
	e := examples{New(), now}
	e.c.processesOff = true
	switch name {
	case "production":
		e.addNodes("p-node-", 9)
		e.addProduction()
	case "quality":
		e.addNodes("q-node-", 11)
		e.addQuality()
	case "test":
		e.addNodes("t-node-", 3)
		e.addTest()
	default:
		panic("nomadsim: no examples named " + name)
	}
	return e.c
}

type examples struct {
	c   *Cluster
	now time.Time
}

func (e examples) addNodes(prefix string, n int) {
	for i := range n {
		e.c.AddNode(Node{
			Name: fmt.Sprintf("%s%d", prefix, i+1), Address: fmt.Sprintf("10.0.0.%d", i+1),
			Drivers: []string{"docker", "raw_exec"},
		})
	}
}

func (e examples) ago(d time.Duration) time.Time { return e.now.Add(-d) }

const (
	day  = 24 * time.Hour
	week = 7 * day
	mib  = 1 << 20
)

var successful = Deployment{Status: "successful"}

// addReadmeJob adds a service of the README with one allocation of one task.
func (e examples) addReadmeJob(id, node string, age time.Duration, d Deployment, s TaskState, a Allocation) {
	at := e.ago(age)
	a.Node, a.Created, a.Modified = node, at.Add(-30*time.Second), at
	a.Tasks = map[string]TaskState{id: s}
	e.addJob(Job{ID: id, Deployment: d, Submitted: a.Created, Groups: []Group{{
		Name: id + "-main", Tasks: []Task{{Name: id, CPU: 500, Memory: 2048}}, Allocations: []Allocation{a},
	}}})
}

// addTeamService adds a healthy service with invented numbers.
func (e examples) addTeamService(id string, count int, age time.Duration, tasks ...Task) {
	e.addJob(Job{
		ID: id, Deployment: successful, Submitted: e.ago(age), Groups: []Group{{Name: "web", Count: count, Tasks: tasks}},
	})
}

const vaultError = `vault: server error deriving vault token: Error making API request.

URL: POST https://vault.service.consul:8200/v1/auth/token/create/nomad-cluster
Code: 400. Errors:

* token policies ([default p-lnx-ros]) must be subset of the role's allowed policies ([default p-es-ro p-lnx-ro])`

func (e examples) addProduction() {
	e.addReadmeJob("p-lnx-mattermost", "p-node-2", week, successful, TaskState{CPU: 4, RSS: 56 * mib, MaxRSS: 201 * mib},
		Allocation{})

	at := e.ago(time.Hour)
	e.addReadmeJob("p-lnx-helloworld2", "p-node-5", time.Hour, Deployment{"failed", "Failed due to unhealthy allocations"},
		TaskState{
			Events: []Event{
				Received(at), TaskSetup(at), Killing(at, vaultError), Unhealthy(at, "Unhealthy because of failed task"),
			},
		}, Allocation{ClientStatus: "failed", Unhealthy: true})

	at = e.ago(14 * time.Hour)
	out := TaskState{CPU: 4, RSS: 1900 * mib, MaxRSS: 2048 * mib}
	out.Events = []Event{Received(at.Add(-time.Hour)), TaskSetup(at.Add(-time.Hour)), Started(at.Add(-time.Hour))}
	for _, before := range []time.Duration{40 * time.Minute, 20 * time.Minute, 20 * time.Second} {
		killed := at.Add(-before)
		out.Events = append(out.Events, OOMKilled(killed), Restarting(killed, 16*time.Second),
			Started(killed.Add(20*time.Second)))
	}
	e.addReadmeJob("p-es-iss-cluster1-frontend", "p-node-9", 14*time.Hour, successful, out, Allocation{})

	e.addProductionBatch()
	e.addTeam1Web()
	e.addTeam1API()
	e.addTeamService("p-team10-web", 1, 5*day)
	e.addTeamService("p-team2-shop", 3, 6*week)
}

func (e examples) addQuality() {
	e.addReadmeJob("q-lnx-mattermost", "q-node-10", 3*week, successful, TaskState{CPU: 2, RSS: 34 * mib, MaxRSS: 79 * mib},
		Allocation{})

	at := e.ago(day)
	e.addReadmeJob("q-fii-lamp", "q-node-11", day, Deployment{"failed", "Failed due to progress deadline"}, TaskState{
		RSS: 39 * mib, MaxRSS: 67 * mib,
		Events: []Event{
			Received(at.Add(-20 * time.Minute)), TaskSetup(at.Add(-20 * time.Minute)), Started(at.Add(-20 * time.Minute)),
			Unhealthy(at.Add(-15*time.Minute), "Task not running for min_healthy_time of 10s by healthy_deadline of 5m0s"),
			DockerTerminated(at.Add(-17*time.Second), 137, ""), Restarting(at.Add(-17*time.Second), 17*time.Second), Started(at),
		},
	}, Allocation{Unhealthy: true})

	at = e.ago(17 * time.Hour)
	e.addReadmeJob("q-fii-monitoring-wmsmonitor", "q-node-11", 17*time.Hour, successful, TaskState{
		RSS: 22 * mib, MaxRSS: 43 * mib,
		Events: []Event{
			Received(at.Add(-2 * day)), TaskSetup(at.Add(-2 * day)), Started(at.Add(-2 * day)),
			DockerTerminated(at.Add(-16*time.Second), 1, ""), Restarting(at.Add(-16*time.Second), 16*time.Second), Started(at),
		},
	}, Allocation{})

	e.addTeam1Moved()
}

func (e examples) addTest() {
	e.addTeamService("t-team1-web", 1, 2*day)
	e.addJob(Job{ID: "t-team1-batch", Type: "batch", Submitted: e.ago(3 * time.Hour), Groups: []Group{
		{Name: "windows", Unplaced: &Unplaced{ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3}}},
		{Name: "memory", Tasks: []Task{{Name: "memory", Memory: 65536}}, Unplaced: &Unplaced{
			Queued: 2, DimensionExhausted: map[string]int{"memory": 3},
		}},
	}})
	e.addTestBatch()
}
