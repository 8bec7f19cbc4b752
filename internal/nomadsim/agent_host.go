package nomadsim

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// agents are the client agents of all nodes. They run the tasks as processes on this machine.
type agents struct {
	store   *stateStore
	servers servers

	// The fields below may only be used within a transaction of the store.
	runners         map[string]*allocRunner    // running tasks, by allocation ID
	processesOff    bool                       // start no processes
	failNext        map[[2]string]int          // by namespace and job: number of allocation starts that will fail
	exitCodes       map[string]int             // by allocation ID: exit code of allocations that fail at every start
	restartTrackers map[string]*restartTracker // by allocation ID and task

	mu   sync.Mutex           // guards the fields below; locked after the store's lock, never before it
	root string               // parent of all directories; "" until the first one
	dirs map[string]*allocDir // by allocation ID
}

// servers is what the client agents report to.
type servers interface {
	// clientStatusChanged handles an allocation that a client agent has updated.
	clientStatusChanged(st *state, before, now *allocation)
	// markHealthy marks a running allocation as healthy, unless its health is already set.
	markHealthy(st *state, id string)
	// evaluate creates an evaluation of a job.
	evaluate(st *state, j *job, trigger string, index, jobModified uint64) *evaluation
}

func newAgents(s *stateStore) *agents {
	return &agents{
		store: s, runners: make(map[string]*allocRunner), failNext: make(map[[2]string]int), exitCodes: make(map[string]int),
		restartTrackers: make(map[string]*restartTracker), dirs: make(map[string]*allocDir),
	}
}

// connect sets the servers, before the first use.
func (ag *agents) connect(s servers) { ag.servers = s }

var errClosed = errors.New("the simulated cluster is closed")

// removeFiles removes the directories of all allocations. The store must be closed.
func (ag *agents) removeFiles() {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	if ag.root != "" {
		os.RemoveAll(ag.root)
	}
}

// dir returns the directory of an allocation. A directory is created when it is first needed, because most clusters
// have thousands of allocations and need none.
func (ag *agents) dir(a *allocation) (*allocDir, error) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	if ag.store.context().Err() != nil {
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
	d := &allocDir{path: filepath.Join(unique, a.ID), logs: map[string]*logFile{}}
	if err := d.build(a); err != nil {
		return nil, err
	}
	ag.dirs[a.ID] = d
	return d, nil
}

// dropDir forgets the directory of a deleted allocation. Requests that already read from it are not disturbed.
func (ag *agents) dropDir(allocation string) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	delete(ag.dirs, allocation)
}
