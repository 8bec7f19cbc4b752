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
	n := st.nodeByID(q.id)
	if n == nil {
		q.resultIndex = st.lastChange(tableNodes)
		return nil, jobspec.NotFound("node not found")
	}
	q.resultIndex = n.ModifyIndex
	return n.detail(), nil
}
