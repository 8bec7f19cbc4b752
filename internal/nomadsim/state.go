package nomadsim

import "time"

// table identifies a table of Nomad's state store. X-Nomad-Index reports the last change of a table.
type table int

const (
	tableJobs table = iota
	tableSummaries
	tableAllocations
	tableEvaluations
	tableDeployments
	tableNodes
	tableNamespaces
	tableCount
)

// state is the content of the state store. Its methods and fields may only be used within a transaction of its store.
// Stored records are replaced and never changed, so that they can be read after the transaction.
type state struct {
	index        uint64
	changedAt    [tableCount]uint64
	changed      chan struct{}          // closed and replaced at every change, to wake blocking queries
	namespaces   []*namespace           // by name
	nodes        []*node                // by ID
	jobs         []*job                 // by namespace and ID
	allocations  []*allocation          // by creation
	evaluations  []*evaluation          // by creation
	deployments  []*deployment          // by creation
	byID         map[string]*allocation // the allocations
	stepInterval time.Duration          // duration of a simulation step
	store        *stateStore
}

// nextIndex raises the index, records it for the changed tables, and wakes waiting queries.
func (st *state) nextIndex(tables ...table) uint64 {
	st.index++
	for _, t := range tables {
		st.changedAt[t] = st.index
	}
	close(st.changed)
	st.changed = make(chan struct{})
	return st.index
}

// changes returns a channel that is closed at the next change.
func (st *state) changes() <-chan struct{} { return st.changed }

// lastChange returns the index of the last change of a table.
func (st *state) lastChange(t table) uint64 { return st.changedAt[t] }
