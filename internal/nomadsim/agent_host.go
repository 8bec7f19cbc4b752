package nomadsim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// agentHost owns the resources of the cluster on this machine: directories, processes, and the requests that use
// them. A directory is created when it is first needed, because most clusters have thousands of allocations and need
// none.
type agentHost struct {
	ctx    context.Context // canceled when the cluster is closed
	cancel context.CancelFunc

	mu     sync.Mutex // guards the fields below; locked after the cluster's mutex, never before it
	closed bool
	inUse  sync.WaitGroup
	root   string               // parent of all directories; "" until the first one
	dirs   map[string]*allocDir // by allocation ID
}

var errClosed = errors.New("the simulated cluster is closed")

func (h *agentHost) open() {
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.dirs = make(map[string]*allocDir)
}

// acquire reports whether the cluster is open. If so, Close waits until release is called.
func (h *agentHost) acquire() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.inUse.Add(1)
	}
	return !h.closed
}

func (h *agentHost) release() { h.inUse.Done() }

// close kills all processes, waits for their end and removes the directories.
func (h *agentHost) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.inUse.Wait()
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
	// A purged allocation that is created again has the same ID. It gets another directory.
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

// dropDir forgets the directory of a deleted allocation. Requests that already read from it are not disturbed.
func (h *agentHost) dropDir(allocation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.dirs, allocation)
}
