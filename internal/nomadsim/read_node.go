package nomadsim

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
)

// getNode returns a whole node.
func getNode(c *Cluster, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, jobspec.ErrDenied
	}
	if _, err := uuidDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("node lookup failed: index error: %w", err)
	}
	i, found := find(c.nodes, key{id: q.id}, byName)
	if !found {
		q.resultIndex = c.changedAt[tableNodes]
		return nil, jobspec.NotFound("node not found")
	}
	q.resultIndex = c.nodes[i].ModifyIndex
	return c.nodes[i].detail(), nil
}
