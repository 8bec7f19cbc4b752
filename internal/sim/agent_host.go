package sim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// agentHost is what the cluster has on this machine: directories, processes, and the requests that use them. The
// directories are made when they are first needed: most clusters have thousands of allocations and need none.
type agentHost struct {
	ctx    context.Context // ends with the cluster
	cancel context.CancelFunc

	mu     sync.Mutex // taken after that of the cluster, never before it
	closed bool
	users  sync.WaitGroup
	root   string               // of all directories; "" until there is one
	dirs   map[string]*allocDir // by allocation
}

var errClosed = errors.New("the simulated cluster is closed")

func (h *agentHost) open() {
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.dirs = make(map[string]*allocDir)
}

// acquire reports whether the cluster is still open. If so, its Close waits for leave.
func (h *agentHost) acquire() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.users.Add(1)
	}
	return !h.closed
}

func (h *agentHost) release() { h.users.Done() }

// close kills what runs, waits for its end and removes what it left.
func (h *agentHost) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.users.Wait()
	if h.root != "" {
		os.RemoveAll(h.root)
	}
}

// dir returns the directory of an allocation.
func (h *agentHost) dir(a *allocation) (*allocDir, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if d := h.dirs[a.ID]; d != nil {
		return d, nil
	}
	if h.root == "" {
		root, err := os.MkdirTemp("", "nomad-sim-")
		if err != nil {
			return nil, err
		}
		h.root = root
	}
	// An allocation that is gone and comes again has the same ID and gets another directory.
	unique, err := os.MkdirTemp(h.root, "")
	if err != nil {
		return nil, err
	}
	d := &allocDir{path: filepath.Join(unique, a.ID), logs: map[string]*logFile{}}
	if err := d.build(a); err != nil {
		return nil, err
	}
	h.dirs[a.ID] = d
	return d, nil
}

// dropDir lets the directory of an allocation that is gone be no longer found. Who still reads in it can go on.
func (h *agentHost) dropDir(allocation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.dirs, allocation)
}
