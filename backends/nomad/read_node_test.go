package nomad

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/internal/nomadsim"
)

// TestNodeStates_DeletedNode reads the nodes of allocations. Nomad has deleted the nodes e and f.
func TestNodeStates_DeletedNode(t *testing.T) {
	c, client := newSimulated(t)
	for _, n := range []string{"a", "b", "c"} {
		c.AddNode(nomadsim.Node{Name: n, ID: "00000000-0000-0000-0000-00000000000" + n, Down: n == "c"})
	}
	var allocations []backends.Allocation
	for _, n := range []string{"f", "a", "b", "", "e", "c", "a"} {
		a := backends.Allocation{NodeID: "00000000-0000-0000-0000-00000000000" + n}
		if n == "" {
			a.NodeID = ""
		}
		allocations = append(allocations, a)
	}
	states := client.NodeStates(t.Context(), allocations)
	var got []string
	for _, id := range slices.Sorted(maps.Keys(states)) {
		got = append(got, id[len(id)-1:]+":"+states[id].Status)
	}
	if want := "a:ready b:ready c:down"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNodeState(t *testing.T) {
	at := time.Unix(100, 0)
	got := nodeState(&api.Node{
		Status: "ready", Drain: true, SchedulingEligibility: "ineligible",
		DrainStrategy: &api.DrainStrategy{ForceDeadline: at},
	})
	want := backends.NodeState{Status: "ready", Ineligible: true, Draining: true, DrainDeadline: at.UTC()}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = nodeState(&api.Node{Status: "ready", SchedulingEligibility: "eligible", DrainStrategy: &api.DrainStrategy{}})
	if !got.Draining || !got.DrainDeadline.IsZero() || got.Ineligible {
		t.Errorf("a drain without a deadline: got %+v", got)
	}
}
