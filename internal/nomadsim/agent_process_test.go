package nomadsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// processIDs returns the IDs of a job's processes, by allocation and task.
func (c *Cluster) processIDs(job string) map[string]int {
	all := map[string]int{}
	c.store.View(func(st *store.State) {
		for _, a := range st.Job("default", job).Allocations {
			for name, pid := range c.agents.Processes(st, a.ID) {
				all[a.ID+"/"+name] = pid
			}
		}
	})
	return all
}

// processCluster is a cluster whose tasks are processes. It records all process IDs.
type processCluster struct {
	*testing.T
	c    *Cluster
	seen []int
}

// write sends a write request and waits until the job has this number of processes. Its other processes must have
// been killed.
func (p *processCluster) write(job string, want int, method, path, body string) {
	p.Helper()
	before := p.c.processIDs(job)
	p.seen = append(p.seen, slices.Collect(maps.Values(before))...)
	if w := send(p.c, method, path, body, "X-Nomad-Token", "root"); w.Code != http.StatusOK {
		p.Fatalf("%s %s: got %d %s", method, path, w.Code, w.Body)
	}
	waitUntil(p.T, fmt.Sprintf("%s has %d processes after %s %s", job, want, method, path), func() bool {
		return len(p.c.processIDs(job)) == want && p.c.isSettled(job)
	})
	now := slices.Collect(maps.Values(p.c.processIDs(job)))
	for _, pid := range before {
		if !slices.Contains(now, pid) && alive(pid) {
			p.Errorf("%s: process %d is still running after %s %s", job, pid, method, path)
		}
	}
	p.seen = append(p.seen, now...)
}

// isSettled is Idle without regard to the deployment.
func (c *Cluster) isSettled(job string) bool {
	j := jobRecord(c, job)
	return !j.HasEvaluation("pending") && !slices.ContainsFunc(j.Allocations, func(a *store.Allocation) bool {
		return a.ClientStatus == "pending" || a.DesiredStatus != "run" && a.ClientStatus == "running"
	})
}

// changeJob restarts and stops a job, starts it from its definition and, if it has one group, scales it up and down.
func (p *processCluster) changeJob(job string) {
	p.Helper()
	had := p.c.processIDs(job)
	path := "/v1/job/" + job
	for _, id := range p.c.Allocations("default", job) {
		if p.c.statusOf(id) != "running" {
			continue
		}
		p.write(job, len(had), "PUT", "/v1/client/allocation/"+id+"/restart", `{"AllTasks":true}`)
		for name, pid := range p.c.processIDs(job) {
			if strings.HasPrefix(name, id) && pid == had[name] {
				p.Errorf("%s: %s: got process %d again after a restart", job, name, pid)
			}
		}
	}
	p.write(job, 0, "DELETE", path, "")
	var definition map[string]any
	if err := json.Unmarshal(get(p.c, path, "X-Nomad-Token", "root").Body.Bytes(), &definition); err != nil {
		p.Fatal(err)
	}
	definition["Stop"] = false
	body, _ := json.Marshal(map[string]any{"Job": definition})
	p.write(job, len(had), "PUT", "/v1/jobs", string(body))
	groups := definition["TaskGroups"].([]any)
	count := int(groups[0].(map[string]any)["Count"].(float64))
	if len(groups) > 1 || len(had)%count != 0 {
		return
	}
	waitUntil(p.T, job+" is deployed", func() bool { return p.c.Idle("default", job) })
	for _, n := range []int{count + 1, count} {
		p.write(job, len(had)/count*n, "PUT", path+"/scale",
			fmt.Sprintf(`{"Count":%d,"Target":{"Group":%q}}`, n, groups[0].(map[string]any)["Name"]))
		waitUntil(p.T, job+" is deployed", func() bool { return p.c.Idle("default", job) })
	}
}

// close closes the cluster and checks that no process is left.
func (p *processCluster) close() {
	p.Helper()
	p.c.Close()
	p.wantNoProcesses()
}

// wantNoProcesses checks that all recorded processes were killed.
func (p *processCluster) wantNoProcesses() {
	p.Helper()
	for _, pid := range p.seen {
		if alive(pid) {
			p.Errorf("process %d is still running", pid)
		}
	}
}

// TestWrites_ProcessesMatchInEveryState has jobs after failures, updates and a rescheduling.
func TestWrites_ProcessesMatchInEveryState(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Hour)
	oom := []Event{
		jobspec.Received(at), jobspec.TaskSetup(at), jobspec.Started(at), jobspec.OOMKilled(at),
		jobspec.Restarting(at, time.Second), jobspec.Started(at),
	}
	group := func(count int, image string) Group {
		main, side := shell("main", sleepScript), shell("side", sleepScript)
		main.Config, side.Sidecar = map[string]any{"image": image}, true
		return Group{Name: "g", Count: count, Tasks: []Task{main, side}}
	}
	restarted, unhealthy, moved, updating := group(1, "a:1"), group(1, "a:1"), group(1, "a:1"), group(3, "a:2")
	restarted.Allocations = []Allocation{{Tasks: map[string]TaskState{"main": {Events: oom}}}}
	unhealthy.Allocations = []Allocation{{Unhealthy: true}}
	moved.Allocations = []Allocation{{Previous: &Allocation{Created: at, Modified: at.Add(time.Minute)}}}
	for i := range 3 {
		updating.Allocations = append(updating.Allocations, Allocation{
			HealthPending: i == 2, Previous: &Allocation{VersionsBehind: 1, Created: at},
		})
	}
	c := New()
	t.Cleanup(c.Close) // after the parallel subtests
	c.SetStepInterval(5 * time.Millisecond)
	c.AddToken("root", Rights{Management: true})
	c.DelayTasks()
	c.AddJob(Job{ID: "restarted", Deployment: successful, Groups: []Group{restarted}})
	c.AddJob(Job{ID: "unhealthy", Deployment: Deployment{Status: "failed"}, Groups: []Group{unhealthy}})
	c.AddJob(Job{ID: "moved", Deployment: successful, Groups: []Group{moved}})
	c.AddJob(Job{
		ID: "updating", Deployment: Deployment{Status: "running"}, Groups: []Group{updating},
		Versions: []Job{{Submitted: at, Deployment: successful, Groups: []Group{group(3, "a:1")}}},
	})
	c.AddJob(Job{ID: "batch", Type: "batch", Groups: []Group{group(2, "a:1")}})
	jobs := map[string]int{"restarted": 1, "unhealthy": 1, "moved": 1, "updating": 3, "batch": 2}
	for job := range jobs {
		if n := len(c.processIDs(job)); n != 0 {
			t.Errorf("%s before StartDelayedTasks: got %d processes, want none", job, n)
		}
	}
	c.StartDelayedTasks()
	for job, allocations := range jobs {
		t.Run(job, func(t *testing.T) {
			t.Parallel()
			waitUntil(t, job+" runs", func() bool { return len(c.processIDs(job)) == 2*allocations })
			p := &processCluster{T: t, c: c}
			t.Cleanup(p.wantNoProcesses)
			p.changeJob(job)
			c.Purge("default", job)
		})
	}
}

func TestWrites_ProcessesMatch(t *testing.T) {
	t.Parallel()
	c := New()
	defer c.Close()
	c.SetStepInterval(5 * time.Millisecond)
	c.AddToken("root", Rights{Management: true})
	side := Task{Name: "side", Command: shell("", "sleep 600 & wait").Command} // its definition contains an image
	odd := shell("odd", sleepScript)
	odd.Config = map[string]any{"command": "/usr/bin/odd"} // does not exist
	c.AddJob(Job{
		ID: "web", Deployment: successful,
		Groups: []Group{{Name: "g", Count: 2, Tasks: []Task{shell("main", sleepScript), side, odd}}},
	})
	waitUntil(t, "all of it runs", func() bool { return len(c.processIDs("web")) == 6 })
	p := &processCluster{T: t, c: c}
	p.changeJob("web")
	p.write("web", 6, "PUT", "/v1/job/web/revert", `{"JobID":"web","JobVersion":0}`)
	p.write("web", 6, "PUT", "/v1/allocation/"+c.Allocations("default", "web")[0]+"/stop", "")
	p.close()
}
