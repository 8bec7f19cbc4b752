package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// resourceUsage is the usage of a task or an allocation, in the format of the recordings.
type resourceUsage struct {
	CpuStats struct {
		TotalTicks, Percent, SystemMode, UserMode float64
		ThrottledPeriods, ThrottledTime           uint64
		Measured                                  []string
	}
	MemoryStats struct {
		RSS, Cache, Swap, MappedFile, Usage, MaxUsage, KernelUsage, KernelMaxUsage uint64
		Measured                                                                   []string
	}
	DeviceStats []struct{}
}

func (u *resourceUsage) add(t resourceUsage) {
	c, m := &u.CpuStats, &u.MemoryStats
	c.TotalTicks += t.CpuStats.TotalTicks
	c.Percent += t.CpuStats.Percent
	m.RSS += t.MemoryStats.RSS
	m.Usage += t.MemoryStats.Usage
	m.MaxUsage += t.MemoryStats.MaxUsage
	c.Measured = union(c.Measured, t.CpuStats.Measured)
	m.Measured = union(m.Measured, t.MemoryStats.Measured)
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// usage returns the usage as the driver of the task reports it. Only docker reports a peak, and only the other
// drivers report processes.
func (s TaskState) usage(driver string) (total resourceUsage, processes map[string]resourceUsage) {
	u := resourceUsage{}
	u.CpuStats.TotalTicks, u.CpuStats.Percent = s.CPU, s.CPU/26 // cores have 2,600 MHz
	u.MemoryStats.RSS = s.RSS
	if driver == "docker" {
		u.CpuStats.Measured = []string{"Throttled Periods", "Throttled Time", "Percent"}
		u.MemoryStats.Measured = []string{"RSS", "Cache", "Swap", "Usage", "Max Usage"}
		u.MemoryStats.Usage, u.MemoryStats.MaxUsage = s.RSS, s.MaxRSS
		return u, nil
	}
	u.CpuStats.Measured = []string{"System Mode", "User Mode", "Percent"}
	u.MemoryStats.Measured = []string{"RSS", "Swap"}
	return u, map[string]resourceUsage{"14307": u}
}

// statsHandler returns the resource usage of an allocation, as its client reports it. A task that is no longer
// running keeps its last numbers, but is not part of the total.
func statsHandler(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
	a, n, err := c.reachableAllocation(r, id, "read-job")
	if err != nil {
		refuse(w, err)
		return
	}
	if n.spec.Hangs {
		c.hang(r)
	}
	c.delay(r, n.spec.Slow)
	total, latest, tasks := resourceUsage{DeviceStats: []struct{}{}}, int64(0), object{}
	for _, t := range a.group.Tasks {
		state := a.TaskStates[t.Name]
		if only := r.URL.Query().Get("task"); (only != "" && only != t.Name) || state.measured.NoStats ||
			state.State == "pending" {
			continue
		}
		taken := time.Now().UnixNano()
		used, processes := state.measured.usage(t.Driver)
		if state.State == "running" {
			total.add(used)
			latest = taken
		}
		tasks[t.Name] = object{"ResourceUsage": used, "Pids": processes, "Timestamp": taken}
	}
	respond(w, r, object{"ResourceUsage": total, "Tasks": tasks, "Timestamp": latest})
}

// reachableAllocation returns an allocation and its node. It returns an error if the token has none of the capabilities
// or if the servers cannot reach the node.
func (c *Cluster) reachableAllocation(r *http.Request, id string, capabilities ...string) (*allocation, *node, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.reachableAllocationLocked(r, id, capabilities...)
}

// reachableAllocationLocked is reachableAllocation for callers that hold c.mu.
func (c *Cluster) reachableAllocationLocked(r *http.Request, id string,
	capabilities ...string,
) (*allocation, *node, error) {
	t, err := c.authenticate(r)
	if err != nil {
		return nil, nil, err
	}
	a, err := c.allocation(id)
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, httpError{http.StatusNotFound, unknownAllocation(id).Error()}
	}
	if !slices.ContainsFunc(capabilities, func(s string) bool { return t.rights.allows(a.Namespace, s) }) {
		return nil, nil, errDenied
	}
	i, found := find(c.nodes, key{id: a.NodeID}, byName)
	if !found {
		return nil, nil, httpError{http.StatusNotFound, fmt.Sprintf("Unknown node %s", a.NodeID)}
	}
	n := c.nodes[i]
	if n.spec.Down || n.spec.Unreachable {
		return nil, nil, httpError{http.StatusNotFound, "No path to node"}
	}
	return a, n, nil
}
