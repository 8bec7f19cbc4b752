package nomadsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/nomadsim/store"
)

// recordedStep is the state of a real Nomad 2.0.6-dev with two clients, c1 and c2, at one step of a recording. It is
// reduced to the relevant fields, which have Nomad's names. AllocStates contains only values, and Tasks only the last
// event of each task.
type recordedStep struct {
	Step  string
	Nodes []recordedNode
	Jobs  map[string]recordedJob
}

type recordedNode struct {
	Name, Status, SchedulingEligibility string
	Missed                              bool // the node has an event for a missed heartbeat
}

type recordedJob struct {
	Status      string
	Summary     map[string]int
	Allocations []recordedAllocation
	Evaluations []recordedEvaluation
}

type recordedAllocation struct {
	ID, EvalID, Name, NodeName                                         string
	ClientStatus, ClientDescription, DesiredStatus, DesiredDescription string
	FollowupEvalID, NextAllocation, PreviousAllocation                 string
	RescheduleTracker                                                  *store.RescheduleTracker
	AllocStates                                                        []string
	ForceReschedule                                                    *bool
	Replanned                                                          bool // changed by a later plan
	Tasks                                                              map[string]struct {
		State, Last string
		Failed      bool
	}
}

type recordedEvaluation struct {
	ID, TriggeredBy, Status, StatusDescription, NodeID string
	WaitUntil                                          *time.Time
}

func recordedSteps(t *testing.T) map[string]recordedStep {
	t.Helper()
	raw, err := os.ReadFile("testdata/clientloss.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]recordedStep{}
	for line := range bytes.Lines(raw) {
		var s recordedStep
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		all[s.Step] = s
	}
	return all
}

// currentStep returns the state of the simulated cluster in the same form.
func currentStep(t *testing.T, c *Cluster, jobs []string) (s recordedStep) {
	t.Helper()
	for _, n := range decode[[]struct {
		ID string
		recordedNode
	}](t, get(c, "/v1/nodes")) {
		n.Missed = strings.Contains(get(c, "/v1/node/"+n.ID).Body.String(), "Node heartbeat missed")
		s.Nodes = append(s.Nodes, n.recordedNode)
	}
	slices.SortFunc(s.Nodes, func(a, b recordedNode) int { return strings.Compare(a.Name, b.Name) })
	s.Jobs = map[string]recordedJob{}
	for _, id := range jobs {
		j := decode[recordedJob](t, get(c, "/v1/job/"+id))
		j.Summary = decode[struct{ Summary map[string]map[string]int }](t, get(c, "/v1/job/"+id+"/summary")).Summary["web"]
		j.Evaluations = decode[[]recordedEvaluation](t, get(c, "/v1/job/"+id+"/evaluations"))
		for _, row := range decode[[]struct{ ID string }](t, get(c, "/v1/job/"+id+"/allocations")) {
			j.Allocations = append(j.Allocations, currentAllocation(t, get(c, "/v1/allocation/"+row.ID)))
		}
		s.Jobs[id] = j
	}
	return s
}

func currentAllocation(t *testing.T, w *httptest.ResponseRecorder) recordedAllocation {
	t.Helper()
	whole := decode[struct {
		recordedAllocation
		AllocStates                   []store.AllocState
		DesiredTransition             store.DesiredTransition
		TaskStates                    map[string]store.TaskState
		AllocModifyIndex, CreateIndex uint64
	}](t, w)
	a := whole.recordedAllocation
	for _, s := range whole.AllocStates {
		a.AllocStates = append(a.AllocStates, s.Value)
	}
	a.ForceReschedule, a.Replanned = whole.DesiredTransition.ForceReschedule, whole.AllocModifyIndex != whole.CreateIndex
	a.Tasks = nil
	raw, _ := json.Marshal(whole.TaskStates)
	json.Unmarshal(raw, &a.Tasks)
	for name, s := range whole.TaskStates {
		task := a.Tasks[name]
		if n := len(s.Events); n > 0 {
			task.Last = s.Events[n-1].DisplayMessage
		}
		a.Tasks[name] = task
	}
	return a
}

// lines describes the allocations without IDs. References are replaced by names. If located is set, the lines contain
// the nodes.
func (j recordedJob) lines(located bool) (all []string) {
	trigger := func(id string) string {
		for _, e := range j.Evaluations {
			if e.ID == id {
				return e.TriggeredBy
			}
		}
		return ""
	}
	where := func(a recordedAllocation) string {
		if !located {
			return a.Name
		}
		return a.Name + "@" + a.NodeName
	}
	other := func(id string) string {
		for _, a := range j.Allocations {
			if a.ID == id {
				return where(a)
			}
		}
		return ""
	}
	for _, a := range j.Allocations {
		var tasks []string
		for name, s := range a.Tasks {
			last := s.Last
			if a.ClientStatus == "complete" {
				last = "" // the end of the program is not compared
			}
			tasks = append(tasks, fmt.Sprintf("%s %s %v %q", name, s.State, s.Failed, last))
		}
		rescheduled, last := 0, ""
		if t := a.RescheduleTracker; t != nil {
			rescheduled, last = len(t.Events), t.LastReschedule
		}
		all = append(all, fmt.Sprintf("%s %s %q %s %q, followed up by %q, next %q, previous %q, rescheduled %d %s, states "+
			"%q, forced %v, replanned %v, tasks %q",
			where(a), a.ClientStatus, a.ClientDescription, a.DesiredStatus, a.DesiredDescription, trigger(a.FollowupEvalID),
			other(a.NextAllocation),
			other(a.PreviousAllocation), rescheduled, last, a.AllocStates, a.ForceReschedule != nil && *a.ForceReschedule,
			a.Replanned, tasks))
	}
	slices.Sort(all)
	return all
}

// failureEvaluations describes the evaluations for failed and lost allocations.
func (j recordedJob) failureEvaluations() map[string]bool {
	all := map[string]bool{}
	for _, e := range j.Evaluations {
		switch e.TriggeredBy {
		case "node-update", "max-disconnect-timeout", "alloc-failure", "alloc-reschedule", "queued-allocs":
			all[fmt.Sprintf("%s %s %q of a node: %v, waits: %v", e.TriggeredBy, e.Status, e.StatusDescription, e.NodeID != "",
				e.WaitUntil != nil)] = true
		}
	}
	return all
}

// wantStep compares the cluster with a recorded step. If withSummary is set, it also compares the job summaries.
func wantStep(t *testing.T, c *Cluster, want recordedStep, located, withSummary bool) {
	t.Helper()
	got := currentStep(t, c, slices.Sorted(maps.Keys(want.Jobs)))
	if located && !slices.Equal(got.Nodes, want.Nodes) {
		t.Errorf("%s: got the nodes %+v, want %+v", want.Step, got.Nodes, want.Nodes)
	}
	for id, recorded := range want.Jobs {
		j := got.Jobs[id]
		if a, b := strings.Join(j.lines(located), "\n"), strings.Join(recorded.lines(located), "\n"); a != b {
			t.Errorf("%s: %s: got\n%s\nwant\n%s", want.Step, id, a, b)
		}
		if j.Status != recorded.Status || withSummary && !maps.Equal(j.Summary, recorded.Summary) {
			t.Errorf("%s: %s: got %s, %v, want %s, %v", want.Step, id, j.Status, j.Summary, recorded.Status, recorded.Summary)
		}
		seen, expected := j.failureEvaluations(), recorded.failureEvaluations()
		for e := range expected {
			if !seen[e] {
				t.Errorf("%s: %s: got the evaluations %q, want also %s", want.Step, id, slices.Sorted(maps.Keys(seen)), e)
			}
		}
		for e := range seen { // complete ones may have been garbage-collected
			if !expected[e] && !strings.Contains(e, " complete ") {
				t.Errorf("%s: %s: got the evaluation %s, want only %q", want.Step, id, e, slices.Sorted(maps.Keys(expected)))
			}
		}
	}
}

// twoNodes returns a cluster with two nodes. The first node gets the first allocation of each job.
func twoNodes() *Cluster {
	c := New()
	c.AddNode(Node{Name: "c1", ID: "00000000-0000-0000-0000-000000000001", Drivers: []string{"raw_exec"}})
	c.AddNode(Node{Name: "c2", ID: "00000000-0000-0000-0000-000000000002", Drivers: []string{"raw_exec"}})
	return c
}

// registerGroup registers a job with a group "web" and waits one second.
func (c *Cluster) registerGroup(t *testing.T, id, kind, group string) {
	t.Helper()
	const task = `{"Name":"web","Driver":"raw_exec","Config":{"command":"/bin/true"}}`
	job := fmt.Sprintf(`{"Job":{"ID":%q,"Type":%q,"TaskGroups":[{"Name":"web","Tasks":[%s]%s}]}}`, id, kind, task, group)
	if w := send(c, "PUT", "/v1/jobs", job); w.Code != 200 {
		t.Fatalf("register %s: got %d %s", id, w.Code, w.Body)
	}
	time.Sleep(time.Second)
}

func (c *Cluster) runningOn(id, node string) string {
	for _, a := range jobRecord(c, id).Allocations {
		if a.NodeName == node && a.DesiredStatus == "run" {
			return a.ID
		}
	}
	return ""
}

func TestClientLoss_DisconnectedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, steps := twoNodes(), recordedSteps(t)
		defer c.Close()
		c.registerGroup(t, "p-lost", "service", "")
		c.registerGroup(t, "p-two", "service", `,"Count":2`)
		c.registerGroup(t, "p-gap", "service", `,"Disconnect":{"LostAfter":3600000000000,"Replace":false}`)
		c.registerGroup(t, "p-rep", "service",
			`,"Disconnect":{"LostAfter":3600000000000,"Replace":true}`+
				`,"ReschedulePolicy":{"Delay":3600000000000,"Unlimited":true}`)
		c.registerGroup(t, "p-short", "service", `,"Disconnect":{"LostAfter":20000000000,"Replace":false}`)
		c.registerGroup(t, "p-sys", "system", "")
		c.AddJob(Job{
			ID: "p-batch", Type: "batch",
			Groups: []Group{
				{Name: "web", Tasks: []Task{{Name: "web", Driver: "raw_exec"}}, Allocations: []Allocation{{Node: "c1"}}},
			},
		})
		c.KillClient("c1")
		time.Sleep(5 * time.Second)
		if w := get(c, "/v1/client/allocation/"+c.runningOn("p-gap", "c1")+"/stats"); w.Code != 404 ||
			w.Body.String() != "No path to node" {
			t.Errorf("stats of an unknown allocation: got %d %s, want no path", w.Code, w.Body)
		}
		batch := steps["disconnected"].Jobs["p-batch"]
		delete(steps["disconnected"].Jobs, "p-batch")
		wantStep(t, c, steps["disconnected"], true, true)
		if j := currentStep(t, c, []string{"p-batch"}).Jobs["p-batch"]; len(j.Allocations) != len(batch.Allocations) ||
			j.Summary["Lost"] != 1 {
			t.Errorf("p-batch: got %+v, want one lost and replaced", j)
		}
		time.Sleep(25 * time.Second)
		delete(steps["expired"].Jobs, "p-batch")
		wantStep(t, c, steps["expired"], true, true)
		c.StartClient("c1")
		time.Sleep(time.Second)
		delete(steps["reconnected"].Jobs, "p-batch")
		wantStep(t, c, steps["reconnected"], true, true)
	})
}

func TestClientLoss_ReplacedWhileUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, steps := twoNodes(), recordedSteps(t)
		defer c.Close()
		c.registerGroup(t, "p-rep2", "service",
			`,"Disconnect":{"LostAfter":3600000000000,"Replace":true},"ReschedulePolicy":{"Delay":5000000000,"Unlimited":true}`)
		c.KillClient("c1")
		time.Sleep(12 * time.Second)
		wantStep(t, c, steps["replaced"], false, true)
		c.StartClient("c1")
		time.Sleep(time.Second)
		wantStep(t, c, steps["replaced-reconnected"], false, true)
	})
}

func TestClientLoss_DownNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, steps := twoNodes(), recordedSteps(t)
		defer c.Close()
		c.registerGroup(t, "p-lost", "service", "")
		c.registerGroup(t, "p-sys", "system", "")
		c.registerGroup(t, "p-pin", "service",
			`,"Constraints":[{"LTarget":"${node.unique.name}","Operand":"=","RTarget":"c1"}]`)
		c.KillClient("c1")
		time.Sleep(5 * time.Second)
		delete(steps["down"].Jobs, "p-batch")
		wantStep(t, c, steps["down"], true, true)

		if w := send(c, "PUT", "/v1/system/gc", ""); w.Code != 200 {
			t.Fatalf("gc: got %d", w.Code)
		}
		time.Sleep(time.Second)
		if c.NodeStatus("c1") != "" {
			t.Errorf("node status after a garbage collection: got %s, want no node", c.NodeStatus("c1"))
		}
		c.StartClient("c1")
		time.Sleep(time.Second)
		if c.runningOn("p-pin", "c1") == "" || c.runningOn("p-sys", "c1") == "" {
			t.Error("allocations that waited for the node were not placed after its return")
		}
		if w := send(c, "PUT", "/v1/allocation/"+c.runningOn("p-sys", "c1")+"/stop", ""); w.Code != 200 {
			t.Fatalf("stop: got %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Second)
		wantStep(t, c, steps["system-stopped"], true, false)
		w := send(c, "PUT", "/v1/job/p-sys/evaluate",
			`{"JobID":"p-sys","EvalOptions":{"ForceReschedule":true}}`)
		if w.Code != 200 {
			t.Fatalf("evaluate: got %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Second)
		wantStep(t, c, steps["system-evaluated"], true, false)
	})
}

func TestEvaluate_ForcesRescheduling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, steps := twoNodes(), recordedSteps(t)
		defer c.Close()
		const once = `,"RestartPolicy":{"Attempts":0,"Mode":"fail"},"ReschedulePolicy":`
		policies := map[string]string{
			"p-none":  `{"Attempts":0,"Unlimited":false}`,
			"p-one":   `{"Attempts":1,"Interval":3600000000000,"Delay":5000000000,"Unlimited":false}`,
			"p-later": `{"Delay":3600000000000,"Unlimited":true}`,
		}
		for id, policy := range policies {
			c.registerGroup(t, id, "service", `,"Count":2`+once+policy)
		}
		c.registerGroup(t, "p-batch0", "batch", once+`{"Attempts":0,"Unlimited":false}`)
		fail := func(id string) {
			t.Helper()
			for _, a := range jobRecord(c, id).Allocations {
				if a.Index() == 1 && !a.Terminal() {
					c.FailNext("default", id, 1)
					if w := send(c, "PUT", "/v1/client/allocation/"+a.ID+"/restart", "{}"); w.Code != 200 {
						t.Fatalf("%s: got %d %s", id, w.Code, w.Body)
					}
				}
			}
		}
		for id := range policies {
			fail(id)
		}
		time.Sleep(100 * time.Millisecond)
		delete(steps["failed"].Jobs, "p-batch0")
		delete(steps["forced"].Jobs, "p-batch0")
		wantStep(t, c, steps["failed"], false, true)
		time.Sleep(time.Second)
		fail("p-one")
		time.Sleep(time.Second)
		for id := range policies {
			w := send(c, "PUT", "/v1/job/"+id+"/evaluate",
				fmt.Sprintf(`{"JobID":%q,"EvalOptions":{"ForceReschedule":true}}`, id))
			if w.Code != 200 {
				t.Fatalf("evaluate %s: got %d %s", id, w.Code, w.Body)
			}
		}
		time.Sleep(time.Second)
		wantStep(t, c, steps["forced"], false, true)
	})
}
