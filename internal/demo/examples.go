package demo

import (
	"fmt"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
)

// exampleCluster returns a cluster with the jobs that the README of the original nomadctld shows for one tier, and the
// jobs of a few more teams. All times are relative to now. name is "production", "quality" or "test"; it panics for
// other names. The tasks have no processes until runTasks is called.
func exampleCluster(name string, now time.Time) *nomadsim.Cluster {
	e := examples{nomadsim.New(), now}
	e.c.DelayTasks()
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
		panic("demo: no examples named " + name)
	}
	return e.c
}

type examples struct {
	c   *nomadsim.Cluster
	now time.Time
}

func (e examples) addNodes(prefix string, n int) {
	for i := range n {
		e.c.AddNode(nomadsim.Node{
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

var successful = nomadsim.Deployment{Status: "successful"}

// addReadmeJob adds a service of the README with one allocation of one task.
func (e examples) addReadmeJob(id, node string, age time.Duration, d nomadsim.Deployment, s nomadsim.TaskState,
	a nomadsim.Allocation,
) {
	at := e.ago(age)
	a.Node, a.Created, a.Modified = node, at.Add(-30*time.Second), at
	a.Tasks = map[string]nomadsim.TaskState{id: s}
	e.addJob(nomadsim.Job{ID: id, Deployment: d, Submitted: a.Created, Groups: []nomadsim.Group{{
		Name: id + "-main", Tasks: []nomadsim.Task{{Name: id, CPU: 500, Memory: 2048}}, Allocations: []nomadsim.Allocation{a},
	}}})
}

// addTeamService adds a healthy service with invented numbers.
func (e examples) addTeamService(id string, count int, age time.Duration, tasks ...nomadsim.Task) {
	e.addJob(nomadsim.Job{
		ID: id, Deployment: successful, Submitted: e.ago(age),
		Groups: []nomadsim.Group{{Name: "web", Count: count, Tasks: tasks}},
	})
}

const vaultError = `vault: server error deriving vault token: Error making API request.

URL: POST https://vault.service.consul:8200/v1/auth/token/create/nomad-cluster
Code: 400. Errors:

* token policies ([default p-lnx-ros]) must be subset of the role's allowed policies ([default p-es-ro p-lnx-ro])`

func (e examples) addProduction() {
	e.addReadmeJob("p-lnx-mattermost", "p-node-2", week, successful,
		nomadsim.TaskState{CPU: 4, RSS: 56 * mib, MaxRSS: 201 * mib}, nomadsim.Allocation{})

	at := e.ago(time.Hour)
	e.addReadmeJob("p-lnx-helloworld2", "p-node-5", time.Hour,
		nomadsim.Deployment{Status: "failed", Description: "Failed due to unhealthy allocations"},
		nomadsim.TaskState{
			Events: []nomadsim.Event{
				jobspec.Received(at), jobspec.TaskSetup(at), jobspec.Killing(at, vaultError),
				jobspec.Unhealthy(at, "Unhealthy because of failed task"),
			},
		}, nomadsim.Allocation{ClientStatus: "failed", Unhealthy: true})

	at = e.ago(14 * time.Hour)
	out := nomadsim.TaskState{CPU: 4, RSS: 1900 * mib, MaxRSS: 2048 * mib}
	began := at.Add(-time.Hour)
	out.Events = []nomadsim.Event{jobspec.Received(began), jobspec.TaskSetup(began), jobspec.Started(began)}
	for _, before := range []time.Duration{40 * time.Minute, 20 * time.Minute, 20 * time.Second} {
		killed := at.Add(-before)
		out.Events = append(out.Events, jobspec.OOMKilled(killed), jobspec.Restarting(killed, 16*time.Second),
			jobspec.Started(killed.Add(20*time.Second)))
	}
	e.addReadmeJob("p-es-iss-cluster1-frontend", "p-node-9", 14*time.Hour, successful, out, nomadsim.Allocation{})

	e.addProductionBatch()
	e.addTeam1Web()
	e.addTeam1API()
	e.addTeamService("p-team10-web", 1, 5*day)
	e.addTeamService("p-team2-shop", 3, 6*week)
}

func (e examples) addQuality() {
	e.addReadmeJob("q-lnx-mattermost", "q-node-10", 3*week, successful,
		nomadsim.TaskState{CPU: 2, RSS: 34 * mib, MaxRSS: 79 * mib}, nomadsim.Allocation{})

	at := e.ago(day)
	began, exited := at.Add(-20*time.Minute), at.Add(-17*time.Second)
	e.addReadmeJob("q-fii-lamp", "q-node-11", day,
		nomadsim.Deployment{Status: "failed", Description: "Failed due to progress deadline"},
		nomadsim.TaskState{RSS: 39 * mib, MaxRSS: 67 * mib, Events: []nomadsim.Event{
			jobspec.Received(began), jobspec.TaskSetup(began), jobspec.Started(began),
			jobspec.Unhealthy(at.Add(-15*time.Minute),
				"Task not running for min_healthy_time of 10s by healthy_deadline of 5m0s"),
			jobspec.DockerTerminated(exited, 137, ""), jobspec.Restarting(exited, 17*time.Second), jobspec.Started(at),
		}}, nomadsim.Allocation{Unhealthy: true})

	at = e.ago(17 * time.Hour)
	began, exited = at.Add(-2*day), at.Add(-16*time.Second)
	e.addReadmeJob("q-fii-monitoring-wmsmonitor", "q-node-11", 17*time.Hour, successful,
		nomadsim.TaskState{RSS: 22 * mib, MaxRSS: 43 * mib, Events: []nomadsim.Event{
			jobspec.Received(began), jobspec.TaskSetup(began), jobspec.Started(began),
			jobspec.DockerTerminated(exited, 1, ""), jobspec.Restarting(exited, 16*time.Second), jobspec.Started(at),
		}}, nomadsim.Allocation{})

	e.addTeam1Moved()
}

func (e examples) addTest() {
	e.addTeamService("t-team1-web", 1, 2*day)
	e.addJob(nomadsim.Job{ID: "t-team1-batch", Type: "batch", Submitted: e.ago(3 * time.Hour), Groups: []nomadsim.Group{
		{Name: "windows", Unplaced: &nomadsim.Unplaced{
			ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3},
		}},
		{Name: "memory", Tasks: []nomadsim.Task{{Name: "memory", Memory: 65536}}, Unplaced: &nomadsim.Unplaced{
			Queued: 2, DimensionExhausted: map[string]int{"memory": 3},
		}},
	}})
	e.addTestBatch()
}
