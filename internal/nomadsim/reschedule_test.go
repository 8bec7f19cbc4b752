package nomadsim

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestReschedule_Tracker(t *testing.T) {
	c := New()
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		c.AddNode(Node{Name: name})
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	c.AddJob(Job{ID: "p-web", Submitted: at, Deployment: successful, Groups: []Group{{
		Reschedule: &Reschedule{Attempts: 2, Interval: time.Hour, Delay: 10 * time.Second, DelayFunction: "exponential"},
		Allocations: []Allocation{{Node: "node-3", Previous: &Allocation{
			Node: "node-2", Modified: at.Add(2 * time.Minute),
			Previous: &Allocation{Node: "node-1", Modified: at.Add(time.Minute)},
		}}},
	}}})
	n := dial(t, c, "")
	stubs, _, err := n.Allocations().List(nil)
	if err != nil || len(stubs) != 3 {
		t.Fatalf("allocations: got %d, %v, want 3", len(stubs), err)
	}
	slices.SortFunc(stubs, func(a, b *api.AllocationListStub) int { return int(a.CreateIndex) - int(b.CreateIndex) })
	last, _, err := n.Allocations().Info(stubs[2].ID, nil)
	if err != nil || last.ClientStatus != "running" || last.RescheduleTracker == nil ||
		len(last.RescheduleTracker.Events) != 2 {
		t.Fatalf("last allocation: got %+v, %v, want it running, rescheduled twice", last, err)
	}
	for i, e := range last.RescheduleTracker.Events {
		before := stubs[i]
		delay := []time.Duration{10 * time.Second, 20 * time.Second}[i]
		when := at.Add(time.Duration(i+1) * time.Minute).Add(delay).UnixNano()
		if e.PrevAllocID != before.ID || e.PrevNodeID != before.NodeID || e.RescheduleTime != when {
			t.Errorf("event %d: got %+v, want one from %s on %s after %v", i, e, before.ID, before.NodeName, delay)
		}
		if before.ClientStatus != "failed" || before.DesiredStatus != "stop" || before.NextAllocation != stubs[i+1].ID ||
			before.FollowupEvalID != stubs[i+1].EvalID {
			t.Errorf("allocation %d: got %+v, want it failed and followed", i, before)
		}
	}
	s, _, err := n.Jobs().Summary("p-web", nil)
	if err != nil || s.Summary["main"].Failed != 2 || s.Summary["main"].Running != 1 {
		t.Errorf("summary: got %+v, %v, want 2 failed, 1 running", s, err)
	}
}

func TestEvaluations_Order(t *testing.T) {
	c := New()
	c.AddJob(Job{
		ID: "p-web", Versions: []Job{{}},
		Groups: []Group{
			{Name: "web", Allocations: []Allocation{{Previous: &Allocation{}}}},
			{Name: "pend", Unplaced: &Unplaced{DimensionExhausted: map[string]int{"memory": 1}}},
		},
		Evaluations: []Evaluation{
			{TriggeredBy: "deployment-watcher"}, {TriggeredBy: "node-update", Status: "canceled", Description: "x"},
		},
	})
	evals, _, err := dial(t, c, "").Jobs().Evaluations("p-web", nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(evals, func(a, b *api.Evaluation) int { return int(a.CreateIndex) - int(b.CreateIndex) })
	var got []string
	byID := map[string]*api.Evaluation{}
	for _, e := range evals {
		got = append(got, e.TriggeredBy+" "+e.Status)
		byID[e.ID] = e
	}
	slices.Sort(got)
	wantList(t, "evaluations", got, []string{
		"alloc-failure complete", "alloc-reschedule complete", "deployment-watcher complete", "job-register complete",
		"job-register complete", "node-update canceled", "queued-allocs blocked",
	})
	for _, e := range evals {
		if e.NextEval != "" && byID[e.NextEval].PreviousEval != e.ID {
			t.Errorf("%s: got next %s whose previous is %s", e.ID, e.NextEval, byID[e.NextEval].PreviousEval)
		}
	}
	type row struct{ Status, ID string }
	rows := decode[[]row](t, get(c, "/v1/job/p-web/evaluations"))
	if !slices.IsSortedFunc(rows, func(a, b row) int {
		if a.Status != b.Status {
			return slices.Compare([]string{a.Status}, []string{b.Status})
		}
		return slices.Compare([]string{a.ID}, []string{b.ID})
	}) {
		t.Errorf("order: got %v, want by status and ID", rows)
	}
}
