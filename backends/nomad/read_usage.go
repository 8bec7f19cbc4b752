package nomad

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

const (
	maxNodeRequests    = 24 // concurrent requests of one command to a cluster; below maxConns
	maxRequestsPerNode = 4  // to one node, so that a node that does not respond cannot use all
)

// Usage reads the statistics of each running allocation.
func (c *Client) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	usage := map[string]backends.Usage{}
	var mu sync.Mutex
	c.queryNodes(ctx, allocations, func(a backends.Allocation, q *api.QueryOptions) error {
		stats, err := c.reads.Allocations().Stats(&api.Allocation{ID: a.ID}, q)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(usage, tasksUsage(a, stats))
		return nil
	})
	return usage
}

// queryNodes calls request for each running allocation. Nomad forwards such requests to the allocation's node.
// queryNodes queries several nodes concurrently, with a few requests for each, and stops querying a node that does
// not respond.
func (c *Client) queryNodes(
	ctx context.Context, allocations []backends.Allocation,
	request func(backends.Allocation, *api.QueryOptions) error,
) {
	shared, err := c.queryOptions(ctx, "")
	if err != nil {
		return
	}
	byNode := map[string][]backends.Allocation{}
	for _, a := range allocations {
		if a.Status == "running" {
			byNode[a.NodeID] = append(byNode[a.NodeID], a)
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxNodeRequests)
	for _, onNode := range byNode {
		queue := make(chan backends.Allocation, len(onNode))
		for _, a := range onNode {
			queue <- a
		}
		close(queue)
		ctx, cancelNode := context.WithCancel(ctx)
		var workers sync.WaitGroup
		for range min(maxRequestsPerNode, len(onNode)) {
			workers.Go(func() {
				for a := range queue {
					select {
					case slots <- struct{}{}:
					case <-ctx.Done():
						return
					}
					_, _, err := retryRead(ctx, c.retryBackoff, func() (any, *api.QueryMeta, error) {
						q := *shared
						q.Namespace = a.Namespace
						return nil, nil, safego.Protect(func() error { return request(a, q.WithContext(ctx)) })
					}, isRateLimited)
					<-slots
					if err != nil && !hasAllocationResponse(err) {
						cancelNode()
						return
					}
				}
			})
		}
		wg.Go(func() { workers.Wait(); cancelNode() })
	}
	wg.Wait()
}

// noPathToNode is part of Nomad's response if its servers have no connection to the node.
const noPathToNode = "No path to node"

// hasAllocationResponse reports whether err is a response of Nomad other than noPathToNode.
func hasAllocationResponse(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.HasStatusCode() && !strings.Contains(response.Body(), noPathToNode)
}

// tasksUsage returns the usage of the allocation's running tasks, by exec ID.
func tasksUsage(a backends.Allocation, stats *api.AllocResourceUsage) map[string]backends.Usage {
	usage := map[string]backends.Usage{}
	for _, task := range a.Tasks {
		if resources := stats.Tasks[task.Name]; resources != nil && a.Runs(task) {
			usage[task.ExecID] = usageOf(resources.ResourceUsage)
		}
	}
	return usage
}

// usageOf omits values that the task's driver does not measure. Nomad returns them as 0.
func usageOf(r *api.ResourceUsage) backends.Usage {
	var u backends.Usage
	if r == nil {
		return u
	}
	if cpu := r.CpuStats; cpu != nil && len(cpu.Measured) > 0 {
		u.CPU = &cpu.TotalTicks
	}
	if memory := r.MemoryStats; memory != nil {
		switch {
		case slices.Contains(memory.Measured, "RSS"):
			u.Memory = &memory.RSS
		case slices.Contains(memory.Measured, "Usage"):
			u.Memory = &memory.Usage
		}
		if slices.Contains(memory.Measured, "Max Usage") {
			u.MemoryMax = &memory.MaxUsage
		}
	}
	return u
}
