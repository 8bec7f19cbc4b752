// Package store contains the records of the simulated cluster: jobs, allocations, evaluations, deployments, nodes and
// namespaces, with their indexes, lists and JSON. It owns the lock and the clock of the simulation. The records can
// only be reached in transactions. It must not decide what happens next: see the packages scheduler and agent.
package store

import "time"

// Table identifies a table of Nomad's state store. X-Nomad-Index reports the last change of a table.
type Table int

const (
	TableJobs Table = iota
	TableSummaries
	TableAllocations
	TableEvaluations
	TableDeployments
	TableNodes
	TableNamespaces
	tableCount
)

// State is the content of the state store. Its methods and fields may only be used within a transaction of its store.
// Other packages read the fields, and change them with methods. Stored records are replaced and never changed, so that
// they can be read after the transaction.
type State struct {
	Index        uint64
	changedAt    [tableCount]uint64
	changed      chan struct{}          // closed and replaced at every change, to wake blocking queries
	Namespaces   []*Namespace           // by name
	Nodes        []*Node                // by ID
	Jobs         []*Job                 // by namespace and ID
	Allocations  []*Allocation          // by creation
	Evaluations  []*Evaluation          // by creation
	Deployments  []*Deployment          // by creation
	byID         map[string]*Allocation // the allocations
	stepInterval time.Duration          // duration of a simulation step
	pending      []step                 // in the order in which they are due
	store        *Store
}

// NextIndex raises the index, records it for the changed tables, and wakes waiting queries.
func (st *State) NextIndex(tables ...Table) uint64 {
	st.Index++
	for _, t := range tables {
		st.changedAt[t] = st.Index
	}
	close(st.changed)
	st.changed = make(chan struct{})
	return st.Index
}

// Changes returns a channel that is closed at the next change.
func (st *State) Changes() <-chan struct{} { return st.changed }

// LastChange returns the index of the last change of a table.
func (st *State) LastChange(t Table) uint64 { return st.changedAt[t] }
