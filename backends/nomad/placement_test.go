package nomad

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestPlacementReasons(t *testing.T) {
	got := placementReasons(&api.AllocationMetric{
		NodesEvaluated:     5,
		ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1, "${node.class} = b": 2},
		ClassFiltered:      map[string]int{"small": 3},
		DimensionExhausted: map[string]int{"memory": 2},
		ClassExhausted:     map[string]int{"big": 2},
		QuotaExhausted:     []string{"cpu"},
	}, jobPlacement{})
	want := []string{
		`constraint "${attr.kernel.name} = windows" filtered 1 node`, `constraint "${node.class} = b" filtered 2 nodes`,
		`class "small" filtered 3 nodes`, "memory exhausted on 2 nodes", `class "big" exhausted on 2 nodes`,
		"quota cpu exhausted",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := placementReasons(&api.AllocationMetric{}, jobPlacement{}); !slices.Equal(got,
		[]string{"no node is eligible"}) {
		t.Errorf("no nodes: got %q", got)
	}
	if got := placementReasons(nil, jobPlacement{}); got != nil {
		t.Errorf("nothing: got %q", got)
	}
}

// TestUnplacedGroups_Recorded uses blocked.jsonl: evaluations of jobs that a real Nomad 2.0.6-dev could not place, with
// the datacenters of the jobs.
func TestUnplacedGroups_Recorded(t *testing.T) {
	want := map[string]string{
		"p-dc9":        "no nodes in datacenter dc9 are ready",
		"p-dcs":        "no nodes in datacenters dc8, dc9 are ready",
		"p-glob":       "no nodes in datacenter eu-* are ready",
		"p-mixed":      `no nodes in datacenter dc9 are ready, constraint "${attr.kernel.name} = windows" filtered 2 nodes`,
		"p-pool":       "no nodes in node pool gpu are ready",
		"p-pooldc":     "no nodes in datacenter dc1 of node pool gpu are ready",
		"p-constraint": `constraint "${attr.kernel.name} = windows" filtered 2 nodes`,
		"p-two":        `constraint "${attr.kernel.name} = windows" filtered 2 nodes; 2 nodes in an ineligible class`,
		"p-memory":     "memory exhausted on 1 node",
		"p-cores":      "cores exhausted on 1 node",
		"p-disk":       "disk exhausted on 1 node",
		"p-port2":      "reserved port collision http=18080 on 1 node",
		"p-prop":       `constraint "distinct_property: ${node.datacenter}=dc1 used by 1 allocs" filtered 1 node`,
		"p-hosts":      `constraint "distinct_hosts" filtered 1 node`,
		"p-hostnet":    `missing host network "public" for port "http" on 1 node`,
		"p-volume":     "missing compatible host volumes on 1 node",
		"p-csi":        "missing CSI volume(s) certs on 1 node",
		"p-device":     "missing devices on 2 nodes",
	}
	waiting := map[string]int{"p-port2": 2, "p-hosts": 3}
	file, err := os.Open("testdata/blocked.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := 0
	for lines := bufio.NewScanner(file); lines.Scan(); seen++ {
		var e struct {
			api.Evaluation
			Datacenters []string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range unplacedGroups(&e.Evaluation, jobPlacement{datacenters: e.Datacenters}) {
			got = append(got, strings.Join(u.Reasons, ", "))
			if wait := max(waiting[e.JobID], 1); u.Count != wait {
				t.Errorf("%s: %d allocations are waiting, want %d", e.JobID, u.Count, wait)
			}
		}
		if text := strings.Join(got, "; "); text != want[e.JobID] {
			t.Errorf("%s: got %q, want %q", e.JobID, text, want[e.JobID])
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d recordings", seen, len(want))
	}
}

// TestPlacementReasons_Other tests metrics that the recordings do not contain.
func TestPlacementReasons_Other(t *testing.T) {
	one := func(what string) map[string]int { return map[string]int{what: 1} }
	for _, tc := range []struct {
		m    api.AllocationMetric
		in   jobPlacement
		want string
	}{
		{
			api.AllocationMetric{NodesAvailable: map[string]int{"dc9": 0}},
			jobPlacement{datacenters: []string{"dc9"}},
			"no nodes in datacenter dc9 are ready",
		}, // older versions of Nomad
		{api.AllocationMetric{}, jobPlacement{[]string{"*"}, "default"}, "no nodes are ready"},
		{api.AllocationMetric{}, jobPlacement{[]string{"*"}, "all"}, "no nodes are ready"},
		{
			api.AllocationMetric{},
			jobPlacement{[]string{"*"}, "gpu"},
			"no nodes in node pool gpu are ready",
		}, // versions of Nomad without the pool in the metrics
		{
			api.AllocationMetric{
				NodesEvaluated: 2, NodesAvailable: map[string]int{"eu-1": 2}, NodesFiltered: 2,
				ConstraintFiltered: one("missing drivers"),
			},
			jobPlacement{datacenters: []string{"eu-*"}},
			"missing drivers on 1 node",
		},
		{
			api.AllocationMetric{
				NodesEvaluated: 2, NodesFiltered: 2,
				ConstraintFiltered: one("did not meet topology requirement"),
			},
			jobPlacement{datacenters: []string{"dc1"}},
			"did not meet topology requirement on 1 node",
		},
		{
			api.AllocationMetric{NodesEvaluated: 1, ConstraintFiltered: one(classIneligible)},
			jobPlacement{},
			"1 node in an ineligible class",
		},
		{
			api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: one("network: bandwidth exceeded")},
			jobPlacement{},
			"bandwidth exceeded on 1 node",
		},
		{
			api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: one("devices: no devices match request")},
			jobPlacement{},
			"no devices match request on 1 node",
		},
		{
			api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: one("device oversubscribed")},
			jobPlacement{},
			"device oversubscribed on 1 node",
		},
		{
			api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: one("cpu")},
			jobPlacement{},
			"cpu exhausted on 1 node",
		},
		{api.AllocationMetric{NodesEvaluated: 3, NodesExhausted: 3}, jobPlacement{}, "resources exhausted on 3 nodes"},
		{api.AllocationMetric{NodesEvaluated: 3, NodesFiltered: 3}, jobPlacement{}, "3 nodes filtered"},
		{api.AllocationMetric{NodesEvaluated: 3}, jobPlacement{}, "the scheduler reports no reason"},
	} {
		if got := strings.Join(placementReasons(&tc.m, tc.in), ", "); got != tc.want {
			t.Errorf("%+v of %+v: got %q, want %q", tc.m, tc.in, got, tc.want)
		}
	}
}
