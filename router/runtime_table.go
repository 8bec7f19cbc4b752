package router

import (
	"slices"
	"sync"

	"nomadctld/backends"
	"nomadctld/internal/logshare"
)

// RuntimeEntry is a runtime in the table of a RuntimeSelector.
type RuntimeEntry struct {
	Name    string   // in the configuration, such as docker
	Title   string   // in messages, such as Docker
	Drivers []string // the task drivers that it is preferred for; nil: any driver

	// Runtime returns the runtime for the tasks of a tier. Docker's, for example, is the same for all tiers. A
	// backends.ContainerRuntime is skipped if it does not respond or declines, and a later entry serves the driver too.
	Runtime func(tier string) backends.Runtime
}

// serves reports whether the runtime is for tasks of this driver.
func (e RuntimeEntry) serves(driver string) bool {
	return e.Drivers == nil || slices.Contains(e.Drivers, driver)
}

// RuntimeSelector selects the runtime for each task, in all tiers.
type RuntimeSelector struct {
	Table          []RuntimeEntry // in the order of preference
	Only           string         // name of the only runtime for programs and logs; empty: by driver
	RefusedDrivers []string       // exec and attach are refused for tasks of these drivers

	// Concurrent programs and logs of each user on one cluster; nil: unlimited. ClusterOf returns the cluster of a tier;
	// nil: each tier is its own cluster.
	ProgramQuota, LogQuota *Quota
	ClusterOf              func(tier string) string

	once  sync.Once
	state *runtimeState // see shared
}

// runtimeState is what the selectors of successive configurations share.
type runtimeState struct {
	viewers logshare.Fanout
	down    downDaemons
}

// Continue makes r share the log streams and the known down daemons with the selector of an earlier configuration. A
// down daemon counts only if its runtime is in both tables. Call Continue before r is used.
func (r *RuntimeSelector) Continue(earlier *RuntimeSelector) { r.state = earlier.shared() }

func (r *RuntimeSelector) shared() *runtimeState {
	r.once.Do(func() {
		if r.state == nil {
			r.state = new(runtimeState)
		}
	})
	return r.state
}

// needsDriver reports whether the driver of a task must be known before its runtime is used. A runtime with a list of
// drivers treats tasks of all of them alike, so if Only names such a runtime, the driver is not read. The Nomad runtime
// serves every driver and must know which one it is.
func (r *RuntimeSelector) needsDriver() bool {
	return !slices.ContainsFunc(r.Table, func(e RuntimeEntry) bool { return e.Name == r.Only && e.Drivers != nil })
}

// candidates returns the runtimes for tasks of a driver, in the order of preference.
func (r *RuntimeSelector) candidates(driver string) []RuntimeEntry {
	var found []RuntimeEntry
	for _, e := range r.Table {
		if e.Name == r.Only || r.Only == "" && e.serves(driver) {
			found = append(found, e)
		}
	}
	return found
}

// cluster returns the cluster of a tier, for the quotas.
func (r *RuntimeSelector) cluster(tier string) string {
	if r.ClusterOf == nil {
		return tier
	}
	return r.ClusterOf(tier)
}
