package agent

import (
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
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

// usageOf returns the usage of a task as its driver reports it. Only docker reports a peak, and only the other
// drivers report processes.
func usageOf(s jobspec.TaskState, driver string) (total resourceUsage, processes map[string]resourceUsage) {
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

// StatsOf returns the resource usage of an allocation, or only that of one task. A task that is no longer running keeps
// its last numbers, but is not part of the total.
func StatsOf(a *store.Allocation, only string) object {
	total, latest, tasks := resourceUsage{DeviceStats: []struct{}{}}, int64(0), object{}
	for _, t := range a.Group.Tasks {
		state := a.TaskStates[t.Name]
		if (only != "" && only != t.Name) || state.Measured.NoStats ||
			state.State == "pending" {
			continue
		}
		taken := time.Now().UnixNano()
		used, processes := usageOf(state.Measured, t.Driver)
		if state.State == "running" {
			total.add(used)
			latest = taken
		}
		tasks[t.Name] = object{"ResourceUsage": used, "Pids": processes, "Timestamp": taken}
	}
	return object{"ResourceUsage": total, "Tasks": tasks, "Timestamp": latest}
}
