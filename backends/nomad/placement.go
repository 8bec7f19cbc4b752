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

// jobPlacement is where a job may be placed. The scheduler's metrics do not always name datacenters and pools without
// nodes.
type jobPlacement struct {
	datacenters []string // patterns
	pool        string   // empty: not known
}

// unplacedGroups returns the groups that an evaluation could not place, by name.
func unplacedGroups(evaluation *api.Evaluation, job jobPlacement) []backends.UnplacedGroup {
	var all []backends.UnplacedGroup
	for _, group := range slices.Sorted(maps.Keys(evaluation.FailedTGAllocs)) {
		m := evaluation.FailedTGAllocs[group]
		u := backends.UnplacedGroup{Group: group, Count: 1, Reasons: placementReasons(m, job)}
		if m != nil {
			u.Count += m.CoalescedFailures
		}
		all = append(all, u)
	}
	return all
}

// placementReasons describes the scheduler's metrics, one clause for each.
func placementReasons(m *api.AllocationMetric, job jobPlacement) []string {
	if m == nil {
		return nil
	}
	var all []string
	add := func(counts map[string]int, describe func(cause, nodes string) string) {
		for _, cause := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, describe(cause, nodeCount(counts[cause])))
		}
	}
	job.pool = cmp.Or(m.NodePool, job.pool)
	all = append(all, job.missingDatacenters(m)...)
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
func (job jobPlacement) missingDatacenters(m *api.AllocationMetric) []string {
	of := ""
	switch job.pool {
	case "", api.NodePoolDefault, api.NodePoolAll:
	default:
		of = " of node pool " + job.pool
	}
	var empty []string
	for _, name := range slices.Sorted(maps.Keys(m.NodesAvailable)) {
		if m.NodesAvailable[name] == 0 { // only an older Nomad lists empty datacenters
			empty = append(empty, name)
		}
	}
	everywhere := len(job.datacenters) == 0
	for _, name := range job.datacenters {
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
		return []string{"no nodes in node pool " + job.pool + " are ready"}
	case none && everywhere && len(job.datacenters) > 0:
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

// filteredReason explains why nodes were filtered. cause is a constraint of the job or a phrase of the scheduler.
func filteredReason(cause, nodes string) string {
	switch {
	case cause == classIneligible:
		return nodes + " in an ineligible class"
	case strings.HasPrefix(cause, "missing "), strings.HasPrefix(cause, "invalid host network "),
		strings.HasPrefix(cause, "CSI "),
		cause == "did not meet topology requirement":
		return cause + " on " + nodes
	}
	return fmt.Sprintf("constraint %q filtered %s", cause, nodes)
}

// exhaustedReason explains why nodes are exhausted. cause is a resource or a phrase of the scheduler.
func exhaustedReason(cause, nodes string) string {
	for _, kind := range []string{"network: ", "devices: "} {
		if problem, ok := strings.CutPrefix(cause, kind); ok {
			return problem + " on " + nodes
		}
	}
	if strings.Contains(cause, " ") {
		return cause + " on " + nodes
	}
	return cause + " exhausted on " + nodes
}

func nodeCount(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
