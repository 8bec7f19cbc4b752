package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// This file contains the requests that the servers forward to client agents.

// askClient is reachableAllocation for a request to the client agent of the allocation. It waits as long as the client
// needs for its response.
func (c *Cluster) askClient(r *http.Request, id string, capabilities ...string) (*allocation, error) {
	a, n, err := c.reachableAllocation(r, id, capabilities...)
	if err != nil {
		return nil, err
	}
	if n.spec.Hangs {
		hang(c.Controls, r)
	}
	delay(c.Controls, r, n.spec.Slow)
	return a, nil
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

// statsHandler returns the resource usage of an allocation, as its client reports it.
func statsHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, err := c.askClient(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, r, statsOf(a, r.URL.Query().Get("task")))
}

// checksHandler returns the last results of an allocation's checks, by check ID. Like Nomad, it returns null if there
// are none or if the allocation is terminal.
func checksHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, err := c.askClient(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, r, checkResults(a, time.Now()))
}
