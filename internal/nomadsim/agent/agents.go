// Package agent simulates the client agents of all nodes: they start, restart and stop the tasks of allocations, as
// processes on this machine if the tasks have a command, and serve their logs, files, statistics, checks and execs. It
// must not decide where allocations run.
package agent

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"nomadctld/internal/nomadsim/store"
)

// Agents are the client agents of all nodes. They run the tasks as processes on this machine.
type Agents struct {
	store   *store.Store
	servers Servers

	// The fields below may only be used within a transaction of the store.
	runners         map[string]*allocRunner    // running tasks, by allocation ID
	processesOff    bool                       // start no processes
	failNext        map[[2]string]int          // by namespace and job: number of allocation starts that will fail
	exitCodes       map[string]int             // by allocation ID: exit code of allocations that fail at every start
	restartTrackers map[string]*restartTracker // by allocation ID and task

	mu   sync.Mutex           // guards the fields below; locked after the store's lock, never before it
	root string               // parent of all directories; "" until the first one
	dirs map[string]*AllocDir // by allocation ID
}

// Servers is what the client agents report to.
type Servers interface {
	// ClientStatusChanged handles an allocation that a client agent has updated.
	ClientStatusChanged(st *store.State, before, now *store.Allocation)
	// MarkHealthy marks a running allocation as healthy, unless its health is already set.
	MarkHealthy(st *store.State, id string)
	// Evaluate creates an evaluation of a job.
	Evaluate(st *store.State, j *store.Job, trigger string, index, jobModified uint64) *store.Evaluation
}

// New returns the client agents of a cluster. Connect must be called before their first use.
func New(s *store.Store) *Agents {
	return &Agents{
		store: s, runners: make(map[string]*allocRunner), failNext: make(map[[2]string]int), exitCodes: make(map[string]int),
		restartTrackers: make(map[string]*restartTracker), dirs: make(map[string]*AllocDir),
	}
}

// Connect sets the servers, before the first use.
func (ag *Agents) Connect(s Servers) { ag.servers = s }

var errClosed = errors.New("the simulated cluster is closed")

// RemoveFiles removes the directories of all allocations. The store must be closed.
func (ag *Agents) RemoveFiles() {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	if ag.root != "" {
		os.RemoveAll(ag.root)
	}
}

// Dir returns the directory of an allocation. A directory is created when it is first needed, because most clusters
// have thousands of allocations and need none.
func (ag *Agents) Dir(a *store.Allocation) (*AllocDir, error) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	if ag.store.Context().Err() != nil {
		return nil, errClosed
	}
	if d := ag.dirs[a.ID]; d != nil {
		return d, nil
	}
	if ag.root == "" {
		root, err := os.MkdirTemp("", "nomad-sim-")
		if err != nil {
			return nil, err
		}
		ag.root = root
	}
	// A purged allocation that is created again has the same ID. It gets another directory.
	unique, err := os.MkdirTemp(ag.root, "")
	if err != nil {
		return nil, err
	}
	d := &AllocDir{path: filepath.Join(unique, a.ID), logs: map[string]*logFile{}}
	if err := d.build(a); err != nil {
		return nil, err
	}
	ag.dirs[a.ID] = d
	return d, nil
}

// dropDir forgets the directory of a deleted allocation. Requests that already read from it are not disturbed.
func (ag *Agents) dropDir(allocation string) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	delete(ag.dirs, allocation)
}

// object is a JSON object without a type of its own.
type object = map[string]any
