package nomad

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Checks reads the service checks of each running allocation.
func (c *Client) Checks(ctx context.Context, allocations []backends.Allocation) map[string][]backends.Check {
	results := map[string][]backends.Check{}
	var mu sync.Mutex
	c.queryNodes(ctx, allocations, func(a backends.Allocation, q *api.QueryOptions) error {
		checks, err := c.reads.Allocations().Checks(a.ID, q)
		if err != nil {
			return err
		}
		var all []backends.Check
		for _, check := range checks {
			all = append(all, backends.Check{
				Service: check.Service, Name: check.Check, Task: check.Task, Status: check.Status, Output: check.Output,
				Readiness: check.Mode == "readiness", StatusCode: check.StatusCode,
				Time: time.Unix(check.Timestamp, 0).UTC(),
			})
		}
		slices.SortFunc(all, func(x, y backends.Check) int {
			return strings.Compare(x.Service+"\x00"+x.Name, y.Service+"\x00"+y.Name)
		})
		mu.Lock()
		defer mu.Unlock()
		results[a.ID] = all
		return nil
	})
	return results
}

// checkDefinitions returns the checks of a group and its tasks that Nomad runs. Like the client agent, it takes every
// type except http for tcp.
func checkDefinitions(g *api.TaskGroup) (all []backends.CheckDefinition) {
	services := g.Services
	for _, t := range g.Tasks {
		services = slices.Concat(services, t.Services)
	}
	for _, s := range services {
		if s.Provider != "nomad" {
			continue
		}
		for _, c := range s.Checks {
			d := backends.CheckDefinition{
				Service: s.Name, Name: c.Name, Task: s.TaskName, Type: "tcp", Port: cmp.Or(c.PortLabel, s.PortLabel),
			}
			if c.Type == "http" {
				d.Type, d.Path = c.Type, c.Path
				d.Protocol, d.Method = cmp.Or(c.Protocol, "http"), cmp.Or(c.Method, "GET")
			}
			all = append(all, d)
		}
	}
	return all
}
