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
	usageAtOnce        = 48 // requests to a cluster for one command; the rest of maxConns is for others
	usageAtOncePerNode = 4  // of these, so that a node that does not answer cannot hold them all
)

// Usage asks for the statistics of each running allocation. Nomad passes the question on to the allocation's
// node; a node that could not be asked once is left alone.
func (c *Client) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	usage := map[string]backends.Usage{}
	q, err := c.query(ctx, "")
	if err != nil {
		return usage
	}
	byNode := map[string][]backends.Allocation{}
	for _, a := range allocations {
		if a.Status == "running" {
			byNode[a.NodeID] = append(byNode[a.NodeID], a)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, usageAtOnce)
	for _, asked := range byNode {
		queue := make(chan backends.Allocation, len(asked))
		for _, a := range asked {
			queue <- a
		}
		close(queue)
		ctx, giveUp := context.WithCancel(ctx)
		var workers sync.WaitGroup
		for range min(usageAtOncePerNode, len(asked)) {
			workers.Go(func() {
				for a := range queue {
					select {
					case places <- struct{}{}:
					case <-ctx.Done():
						return
					}
					stats, err := c.stats(ctx, *q, a)
					<-places
					if err != nil {
						giveUp()
						return
					}
					mu.Lock()
					maps.Copy(usage, tasksUsage(a, stats))
					mu.Unlock()
				}
			})
		}
		wg.Go(func() { workers.Wait(); giveUp() })
	}
	wg.Wait()
	return usage
}

// stats returns nothing for an allocation of which Nomad has none. An error means that its node cannot be asked.
func (c *Client) stats(ctx context.Context, q api.QueryOptions, a backends.Allocation) (stats *api.AllocResourceUsage, err error) {
	q.Namespace = a.Namespace
	err = backends.Protect(func() error {
		stats, _, err = retry(ctx, func() (*api.AllocResourceUsage, *api.QueryMeta, error) {
			stats, err := c.api.Allocations().Stats(&api.Allocation{ID: a.ID}, q.WithContext(ctx))
			return stats, nil, err
		}, crowded)
		return err
	})
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() && !strings.Contains(answer.Body(), noPath) {
		return nil, nil
	}
	return stats, err
}

// noPath is in Nomad's answer when its servers have no connection to the node.
const noPath = "No path to node"

// tasksUsage returns the usage of the allocation's running tasks, by exec ID.
func tasksUsage(a backends.Allocation, stats *api.AllocResourceUsage) map[string]backends.Usage {
	usage := map[string]backends.Usage{}
	if stats == nil {
		return usage
	}
	for _, task := range a.Tasks {
		if resources := stats.Tasks[task.Name]; resources != nil && task.State == "running" {
			usage[task.ExecID] = measured(resources.ResourceUsage)
		}
	}
	return usage
}

// measured leaves out the figures that the task's driver does not measure: Nomad sends them as 0.
func measured(r *api.ResourceUsage) backends.Usage {
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
