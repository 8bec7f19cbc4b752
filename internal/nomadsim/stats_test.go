package nomadsim

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestStats_PerTask(t *testing.T) {
	c := New()
	c.AddJob(Job{ID: "p-api", Groups: []Group{{
		Tasks: []Task{{Name: "app"}, {Name: "sidecar", Driver: "raw_exec"}, {Name: "init"}, {Name: "new"}},
		Allocations: []Allocation{{Tasks: map[string]TaskState{
			"app":     {CPU: 26, RSS: 30 * mib, MaxRSS: 50 * mib},
			"sidecar": {CPU: 4, RSS: 5 * mib, MaxRSS: 7 * mib},
			"init":    {State: "dead", RSS: 100 * mib},
			"new":     {NoStats: true},
		}}},
	}}})
	n := dial(t, c, "")
	alloc := &api.Allocation{ID: c.Allocations("default", "p-api")[0]}
	got, err := n.Allocations().Stats(alloc, nil)
	if err != nil {
		t.Fatal(err)
	}
	for task, want := range map[string][3]float64{ // MHz, RSS, peak in MiB
		"app": {26, 30, 50}, "sidecar": {4, 5, 0}, "init": {0, 100, 0}, // raw_exec does not measure the peak
	} {
		u := got.Tasks[task]
		if u == nil {
			t.Errorf("%s: got nothing, want %v", task, want)
			continue
		}
		m := u.ResourceUsage.MemoryStats
		have := [3]float64{u.ResourceUsage.CpuStats.TotalTicks, float64(m.RSS / mib), float64(m.MaxUsage / mib)}
		if have != want {
			t.Errorf("%s: got %v, want %v", task, have, want)
		}
	}
	if got.Tasks["new"] != nil {
		t.Errorf("unmeasured task: got %+v, want nothing", got.Tasks["new"])
	}
	if total := got.ResourceUsage; total.CpuStats.TotalTicks != 30 || total.MemoryStats.RSS != 35*mib {
		t.Errorf("total: got %v MHz, %d bytes, want 30 and %d: the dead do not count", total.CpuStats.TotalTicks,
			total.MemoryStats.RSS, 35*mib)
	}
	one, err := n.Allocations().Stats(alloc, &api.QueryOptions{Params: map[string]string{"task": "sidecar"}})
	if err != nil || len(one.Tasks) != 1 || one.Tasks["sidecar"] == nil {
		t.Errorf("task=sidecar: got %v, %v, want that one", one.Tasks, err)
	}
}

func TestStats_DependOnNode(t *testing.T) {
	t.Parallel()
	c := New()
	c.AddNode(Node{Name: "node-1"})
	c.AddJob(Job{ID: "p-web"})
	n := dial(t, c, "")
	alloc := &api.Allocation{ID: c.Allocations("default", "p-web")[0]}
	for _, away := range []Node{{Name: "node-1", Down: true}, {Name: "node-1", Unreachable: true}} {
		c.AddNode(away)
		_, err := n.Allocations().Stats(alloc, nil)
		wantStatus(t, err, 404, "No path to node")
		nodes, _, err := n.Nodes().List(nil)
		if want := map[bool]string{true: "down", false: "ready"}[away.Down]; err != nil || len(nodes) != 1 ||
			nodes[0].Status != want {
			t.Errorf("node: got %v, %v, want it %s", nodes, err, want)
		}
	}
	c.AddNode(Node{Name: "node-1", Slow: 40 * time.Millisecond})
	start := time.Now()
	if _, err := n.Allocations().Stats(alloc, nil); err != nil || time.Since(start) < 40*time.Millisecond {
		t.Errorf("slow: got %v after %v, want a response after 40ms", err, time.Since(start))
	}
	c.AddNode(Node{Name: "node-1", Hangs: true})
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
	defer cancel()
	_, err := n.Allocations().Stats(alloc, (&api.QueryOptions{}).WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging: got %v, want the client to give up", err)
	}
}
