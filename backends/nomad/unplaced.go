package nomad

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// unplaced returns what a blocked evaluation says of the groups it could not place, by group.
func unplaced(evaluation *api.Evaluation) []backends.Unplaced {
	var all []backends.Unplaced
	for _, group := range slices.Sorted(maps.Keys(evaluation.FailedTGAllocs)) {
		all = append(all, backends.Unplaced{Group: group, Reasons: reasons(evaluation.FailedTGAllocs[group])})
	}
	return all
}

// reasons returns the scheduler's figures in words, one clause each.
func reasons(m *api.AllocationMetric) []string {
	var all []string
	add := func(format string, counts map[string]int) {
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf(format, what)+" "+nodes(counts[what]))
		}
	}
	if m == nil {
		return nil
	}
	add("constraint %q filtered", m.ConstraintFiltered)
	add("class %q filtered", m.ClassFiltered)
	add("%s exhausted on", m.DimensionExhausted)
	add("class %q exhausted on", m.ClassExhausted)
	for _, quota := range m.QuotaExhausted {
		all = append(all, fmt.Sprintf("quota %s exhausted", quota))
	}
	switch {
	case len(all) > 0:
	case m.NodesEvaluated == 0:
		all = append(all, "no node is eligible")
	default:
		all = append(all, "the scheduler names no reason")
	}
	return all
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
