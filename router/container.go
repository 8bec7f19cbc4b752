package router

import (
	"context"
	"encoding/json"

	"nomadctld/backends"
)

// container is the container of one task. A command can ask about no other.
type container struct {
	containers backends.Containers
	cluster    backends.Cluster
	allocation backends.Allocation
	task       string
}

func (c container) Inspect(ctx context.Context) (json.RawMessage, error) {
	node := backends.Node{Name: c.allocation.Node}
	if c.containers.NeedsAddress() {
		address, err := c.cluster.NodeAddress(ctx, c.allocation)
		if err != nil {
			return nil, err
		}
		node.Address = address
	}
	return c.containers.Inspect(ctx, node, c.task, c.allocation.ID)
}
