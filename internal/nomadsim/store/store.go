package store

import (
	"context"
	"sync"
)

// Store holds the state of a cluster. The state can only be reached in transactions, which hold the lock.
type Store struct {
	mu    sync.RWMutex // guards state
	state State

	ctx      context.Context // canceled when the store is closed
	cancel   context.CancelFunc
	closedMu sync.Mutex // guards closed; locked after mu, never before it
	closed   bool
	inUse    sync.WaitGroup
}

// New returns a store at index 1 with the namespace "default".
func New() *Store {
	s := &Store{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.state = State{
		Index: 1, changed: make(chan struct{}), byID: make(map[string]*Allocation),
		stepInterval: defaultStepInterval, store: s,
	}
	for t := range s.state.changedAt {
		s.state.changedAt[t] = s.state.Index
	}
	s.state.AddNamespace("default", "Default shared namespace")
	return s
}

// View calls read in a transaction that must not change the state.
func (s *Store) View(read func(st *State)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	read(&s.state)
}

// Update calls change in a transaction that may change the state.
func (s *Store) Update(change func(st *State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

// Acquire acquires the store and returns true, unless it is closed. Close then waits until Release is called.
func (s *Store) Acquire() bool {
	s.closedMu.Lock()
	defer s.closedMu.Unlock()
	if !s.closed {
		s.inUse.Add(1)
	}
	return !s.closed
}

// Release undoes one Acquire.
func (s *Store) Release() { s.inUse.Done() }

// Close cancels the delayed transactions and the context, and waits for everything that has acquired the store.
func (s *Store) Close() {
	s.closedMu.Lock()
	s.closed = true
	s.closedMu.Unlock()
	s.cancel()
	s.inUse.Wait()
}

// Context returns a context that is canceled when the store is closed.
func (s *Store) Context() context.Context { return s.ctx }
