package nomadsim

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// getNode returns a whole node.
func getNode(c *Cluster, st *store.State, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, jobspec.ErrDenied
	}
	if _, err := store.UuidDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("node lookup failed: index error: %w", err)
	}
	n := st.NodeByID(q.id)
	if n == nil {
		q.resultIndex = st.LastChange(store.TableNodes)
		return nil, jobspec.NotFound("node not found")
	}
	q.resultIndex = n.ModifyIndex
	return n.Detail(), nil
}
