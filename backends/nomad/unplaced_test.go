package nomad

import (
	"slices"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestReasonsAreTheSchedulersFigures(t *testing.T) {
	got := reasons(&api.AllocationMetric{
		NodesEvaluated:     5,
		ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 1, "${node.class} = b": 2},
		ClassFiltered:      map[string]int{"small": 3},
		DimensionExhausted: map[string]int{"memory": 2},
		ClassExhausted:     map[string]int{"big": 2},
		QuotaExhausted:     []string{"cpu"},
	}, where{})
	want := []string{
		`constraint "${attr.kernel.name} = windows" filtered 1 node`, `constraint "${node.class} = b" filtered 2 nodes`,
		`class "small" filtered 3 nodes`, "memory exhausted on 2 nodes", `class "big" exhausted on 2 nodes`, "quota cpu exhausted",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := reasons(&api.AllocationMetric{}, where{}); !slices.Equal(got, []string{"no node is eligible"}) {
		t.Errorf("no nodes: got %q", got)
	}
	if got := reasons(nil, where{}); got != nil {
		t.Errorf("nothing: got %q", got)
	}
}
