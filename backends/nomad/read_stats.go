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
)

const (
	maxNodeRequests    = 24 // requests to a cluster for one command; the rest of maxConns is for others
	maxRequestsPerNode = 4  // of these, so that a node that does not answer cannot hold them all
)

// Usage asks for the statistics of each running allocation.
func (c *Client) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	usage := map[string]backends.Usage{}
	var mu sync.Mutex
	c.queryNodes(ctx, allocations, func(a backends.Allocation, q *api.QueryOptions) error {
		stats, err := c.api.Allocations().Stats(&api.Allocation{ID: a.ID}, q)
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

// queryNodes calls ask for each running allocation. Nomad passes such questions on to the allocation's node: some nodes
// are asked at the same time, each a few questions, and one that cannot be asked is left alone after that.
func (c *Client) queryNodes(ctx context.Context, allocations []backends.Allocation, ask func(backends.Allocation, *api.QueryOptions) error) {
	shared, err := c.query(ctx, "")
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
	places := make(chan struct{}, maxNodeRequests)
	for _, asked := range byNode {
		queue := make(chan backends.Allocation, len(asked))
		for _, a := range asked {
			queue <- a
		}
		close(queue)
		ctx, giveUp := context.WithCancel(ctx)
		var workers sync.WaitGroup
		for range min(maxRequestsPerNode, len(asked)) {
			workers.Go(func() {
				for a := range queue {
					select {
					case places <- struct{}{}:
					case <-ctx.Done():
						return
					}
					_, _, err := retryRead(ctx, func() (any, *api.QueryMeta, error) {
						q := *shared
						q.Namespace = a.Namespace
						return nil, nil, backends.Protect(func() error { return ask(a, q.WithContext(ctx)) })
					}, isRateLimited)
					<-places
					if err != nil && !hasResponse(err) {
						giveUp()
						return
					}
				}
			})
		}
		wg.Go(func() { workers.Wait(); giveUp() })
	}
	wg.Wait()
}

// noPathToNode is in Nomad's answer when its servers have no connection to the node.
const noPathToNode = "No path to node"

// hasResponse reports whether an error is about one allocation only: Nomad, or the node, has answered.
func hasResponse(err error) bool {
	var answer api.UnexpectedResponseError
	return errors.As(err, &answer) && answer.HasStatusCode() && !strings.Contains(answer.Body(), noPathToNode)
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

// usageOf leaves out the figures that the task's driver does not measure: Nomad sends them as 0.
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
