package nomad

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// NodeAddress returns the address in the node's fingerprint, or that of its agent.
func (c *Client) NodeAddress(ctx context.Context, a backends.Allocation) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	node, err := c.node(ctx, a.NodeID)
	if err != nil {
		return "", err
	}
	if address := node.Attributes["unique.network.ip-address"]; address != "" {
		return address, nil
	}
	host, _, _ := strings.Cut(node.HTTPAddr, ":")
	return host, nil
}

// NodeStates reads each node. The policy of the gateway's token does not need to permit that, so NodeStates stops at
// the first error.
func (c *Client) NodeStates(ctx context.Context, allocations []backends.Allocation) map[string]backends.NodeState {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ids := make(chan string, len(allocations))
	queued := map[string]bool{"": true}
	states := map[string]backends.NodeState{}
	for _, a := range allocations {
		if queued[a.NodeID] {
			continue
		}
		queued[a.NodeID] = true
		if len(states) > 0 {
			ids <- a.NodeID
			continue
		}
		first, err := c.node(ctx, a.NodeID) // alone, because it shows whether nodes can be read
		if errors.Is(err, backends.ErrNotFound) {
			continue // Nomad has deleted the node
		}
		if err != nil {
			return nil
		}
		states[a.NodeID] = nodeState(first)
	}
	close(ids)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(maxRequestsPerNode, len(ids)) {
		wg.Go(func() {
			for id := range ids {
				if ctx.Err() != nil {
					return
				}
				node, err := c.node(ctx, id)
				if errors.Is(err, backends.ErrNotFound) {
					continue
				}
				if err != nil {
					cancel()
					return
				}
				mu.Lock()
				states[id] = nodeState(node)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return states
}

func (c *Client) node(ctx context.Context, id string) (*api.Node, error) {
	return readObject(ctx, c, "", ruleNodeRead,
		func(q *api.QueryOptions) (*api.Node, *api.QueryMeta, error) { return c.reads.Nodes().Info(id, q) })
}

func nodeState(node *api.Node) backends.NodeState {
	s := backends.NodeState{
		Status: node.Status, Draining: node.Drain,
		Ineligible: node.SchedulingEligibility == api.NodeSchedulingIneligible,
	}
	if d := node.DrainStrategy; d != nil {
		s.Draining = true
		if !d.ForceDeadline.IsZero() {
			s.DrainDeadline = d.ForceDeadline.UTC()
		}
	}
	return s
}
