package nomadsim

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
)

// getNode returns a whole node.
func getNode(c *Cluster, st *state, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, jobspec.ErrDenied
	}
	if _, err := uuidDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("node lookup failed: index error: %w", err)
	}
	i, found := find(st.nodes, key{id: q.id}, byName)
	if !found {
		q.resultIndex = st.changedAt[tableNodes]
		return nil, jobspec.NotFound("node not found")
	}
	q.resultIndex = st.nodes[i].ModifyIndex
	return st.nodes[i].detail(), nil
}
