package nomad

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// placementScope is the part of the cluster where a job may be placed. If the scheduler finds no node there, its result
// does not contain the scope.
type placementScope struct {
	datacenters []string // patterns
	pool        string   // empty: not known
}

// unplacedGroups returns the groups that a blocked evaluation could not place, by name.
func unplacedGroups(evaluation *api.Evaluation, in placementScope) []backends.Unplaced {
	var all []backends.Unplaced
	for _, group := range slices.Sorted(maps.Keys(evaluation.FailedTGAllocs)) {
		m := evaluation.FailedTGAllocs[group]
		u := backends.Unplaced{Group: group, Allocations: 1, Reasons: placementReasons(m, in)}
		if m != nil {
			u.Allocations += m.CoalescedFailures
		}
		all = append(all, u)
	}
	return all
}

// placementReasons describes the scheduler's metrics, one clause for each.
func placementReasons(m *api.AllocationMetric, in placementScope) []string {
	if m == nil {
		return nil
	}
	var all []string
	add := func(counts map[string]int, describe func(what, nodes string) string) {
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, describe(what, nodeCount(counts[what])))
		}
	}
	in.pool = cmp.Or(m.NodePool, in.pool)
	all = append(all, in.missingDatacenters(m)...)
	add(m.ConstraintFiltered, filteredReason)
	add(m.ClassFiltered, func(class, n string) string { return fmt.Sprintf("class %q filtered %s", class, n) })
	add(m.DimensionExhausted, exhaustedReason)
	add(m.ClassExhausted, func(class, n string) string { return fmt.Sprintf("class %q exhausted on %s", class, n) })
	for _, quota := range m.QuotaExhausted {
		all = append(all, fmt.Sprintf("quota %s exhausted", quota))
	}
	switch {
	case len(all) > 0:
	case m.NodesExhausted > 0:
		all = append(all, "resources exhausted on "+nodeCount(m.NodesExhausted))
	case m.NodesFiltered > 0:
		all = append(all, nodeCount(m.NodesFiltered)+" filtered")
	case m.NodesEvaluated == 0:
		all = append(all, "no node is eligible")
	default:
		all = append(all, "the scheduler reports no reason")
	}
	return all
}

// missingDatacenters returns a clause for the job's datacenters without ready nodes in the job's node pool.
func (in placementScope) missingDatacenters(m *api.AllocationMetric) []string {
	of := ""
	switch in.pool {
	case "", api.NodePoolDefault, api.NodePoolAll:
	default:
		of = " of node pool " + in.pool
	}
	var empty []string
	for _, name := range slices.Sorted(maps.Keys(m.NodesAvailable)) {
		if m.NodesAvailable[name] == 0 { // an older Nomad
			empty = append(empty, name)
		}
	}
	everywhere := len(in.datacenters) == 0
	for _, name := range in.datacenters {
		everywhere = everywhere || name == "*"
		_, known := m.NodesAvailable[name]
		pattern := strings.Contains(name, "*") && len(m.NodesAvailable) > 0 // it may match another datacenter
		if !known && !pattern && !slices.Contains(empty, name) {
			empty = append(empty, name)
		}
	}
	none := m.NodesEvaluated == 0 && m.NodesInPool == 0 && len(m.NodesAvailable) == 0
	switch {
	case len(m.NodesAvailable) == 0 && !none: // the metrics do not contain datacenters
		return nil
	case none && everywhere && of != "":
		return []string{"no nodes in node pool " + in.pool + " are ready"}
	case none && everywhere && len(in.datacenters) > 0:
		return []string{"no nodes are ready"}
	case everywhere, len(empty) == 0:
		return nil
	case len(empty) == 1:
		return []string{"no nodes in datacenter " + empty[0] + of + " are ready"}
	}
	return []string{"no nodes in datacenters " + strings.Join(empty, ", ") + of + " are ready"}
}

// classIneligible is the scheduler's reason for a node that it has not checked because another node of the same
// computed class is ineligible.
const classIneligible = "computed class ineligible"

// filteredReason explains why nodes were filtered. what is a constraint of the job or a phrase of the scheduler.
func filteredReason(what, nodes string) string {
	switch {
	case what == classIneligible:
		return nodes + " in an ineligible class"
	case strings.HasPrefix(what, "missing "), strings.HasPrefix(what, "invalid host network "),
		strings.HasPrefix(what, "CSI "),
		what == "did not meet topology requirement":
		return what + " on " + nodes
	}
	return fmt.Sprintf("constraint %q filtered %s", what, nodes)
}

// exhaustedReason explains why nodes are exhausted. what is a resource or a phrase of the scheduler.
func exhaustedReason(what, nodes string) string {
	for _, kind := range []string{"network: ", "devices: "} {
		if problem, ok := strings.CutPrefix(what, kind); ok {
			return problem + " on " + nodes
		}
	}
	if strings.Contains(what, " ") {
		return what + " on " + nodes
	}
	return what + " exhausted on " + nodes
}

func nodeCount(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
