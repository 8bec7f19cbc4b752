package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// statsHandler returns the resource usage of an allocation, as its client reports it. A task that is no longer
// running keeps its last numbers, but is not part of the total.
func statsHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, n, err := c.reachableAllocation(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	if n.spec.Hangs {
		c.hang(r)
	}
	c.delay(r, n.spec.Slow)
	total, latest, tasks := resourceUsage{DeviceStats: []struct{}{}}, int64(0), object{}
	for _, t := range a.group.Tasks {
		state := a.TaskStates[t.Name]
		if only := r.URL.Query().Get("task"); (only != "" && only != t.Name) || state.measured.NoStats ||
			state.State == "pending" {
			continue
		}
		taken := time.Now().UnixNano()
		used, processes := usageOf(state.measured, t.Driver)
		if state.State == "running" {
			total.add(used)
			latest = taken
		}
		tasks[t.Name] = object{"ResourceUsage": used, "Pids": processes, "Timestamp": taken}
	}
	respond(w, r, object{"ResourceUsage": total, "Tasks": tasks, "Timestamp": latest})
}

// reachableAllocation returns an allocation and its node. It returns an error if the token has none of the capabilities
// or if the servers cannot reach the node.
func (c *Cluster) reachableAllocation(r *http.Request, id string,
	capabilities ...string,
) (a *allocation, n *node, err error) {
	c.store.view(func(st *state) { a, n, err = c.reachableAllocationIn(st, r, id, capabilities...) })
	return a, n, err
}

// reachableAllocationIn is reachableAllocation within a transaction.
func (c *Cluster) reachableAllocationIn(st *state, r *http.Request, id string,
	capabilities ...string,
) (*allocation, *node, error) {
	t, err := c.acl.authenticate(r)
	if err != nil {
		return nil, nil, err
	}
	a, err := st.allocation(id)
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, jobspec.NotFound(unknownAllocation(id).Error())
	}
	if !slices.ContainsFunc(capabilities, func(s string) bool { return t.rights.allows(a.Namespace, s) }) {
		return nil, nil, jobspec.ErrDenied
	}
	n := st.nodeByID(a.NodeID)
	if n == nil {
		return nil, nil, jobspec.NotFound(fmt.Sprintf("Unknown node %s", a.NodeID))
	}
	if n.spec.Down || n.spec.Unreachable {
		return nil, nil, jobspec.NotFound("No path to node")
	}
	return a, n, nil
}
