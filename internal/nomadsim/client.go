package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
	"nomadctld/internal/nomadsim/wire"
)

// This file contains the requests that the servers forward to client agents.

// askClient is reachableAllocation, but if there is no error, it then waits as long as the client agent of the
// allocation would take to respond.
func (c *Cluster) askClient(r *http.Request, id string, capabilities ...string) (*store.Allocation, error) {
	a, n, err := c.reachableAllocation(r, id, capabilities...)
	if err != nil {
		return nil, err
	}
	if n.Spec.Hangs {
		wire.Hang(c.Controls, r)
	}
	wire.Delay(c.Controls, r, n.Spec.Slow)
	return a, nil
}

// reachableAllocation returns an allocation and its node. It returns an error if the token has none of the capabilities
// or if the servers cannot reach the node.
func (c *Cluster) reachableAllocation(r *http.Request, id string,
	capabilities ...string,
) (a *store.Allocation, n *store.Node, err error) {
	c.store.View(func(st *store.State) { a, n, err = c.reachableAllocationIn(st, r, id, capabilities...) })
	return a, n, err
}

// reachableAllocationIn is reachableAllocation within a transaction.
func (c *Cluster) reachableAllocationIn(st *store.State, r *http.Request, id string,
	capabilities ...string,
) (*store.Allocation, *store.Node, error) {
	t, err := c.acl.authenticate(r)
	if err != nil {
		return nil, nil, err
	}
	a, err := st.Allocation(id)
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, jobspec.NotFound(unknownAllocation(id).Error())
	}
	if !slices.ContainsFunc(capabilities, func(s string) bool { return t.rights.allows(a.Namespace, s) }) {
		return nil, nil, jobspec.ErrDenied
	}
	n := st.NodeByID(a.NodeID)
	if n == nil {
		return nil, nil, jobspec.NotFound(fmt.Sprintf("Unknown node %s", a.NodeID))
	}
	if n.Spec.Down || n.Spec.Unreachable {
		return nil, nil, jobspec.NotFound("No path to node")
	}
	return a, n, nil
}

// statsHandler returns the resource usage of an allocation, as its client reports it.
func statsHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, err := c.askClient(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, r, agent.StatsOf(a, r.URL.Query().Get("task")))
}

// checksHandler returns the last results of an allocation's checks, by check ID. Like Nomad, it returns null if there
// are none or if the allocation is terminal.
func checksHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, err := c.askClient(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, r, agent.CheckResults(a, time.Now()))
}
