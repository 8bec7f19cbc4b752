package nomadsim

import (
	"context"
	"sync"
)

// stateStore holds the state of a cluster. The state can only be reached in transactions, which hold the lock.
type stateStore struct {
	mu    sync.RWMutex // guards state
	state state

	ctx    context.Context // canceled when the store is closed
	cancel context.CancelFunc
	life   sync.Mutex // guards closed; locked after mu, never before it
	closed bool
	inUse  sync.WaitGroup
}

// newStateStore returns a store at index 1 with the namespace "default".
func newStateStore() *stateStore {
	s := &stateStore{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.state = state{
		index: 1, changed: make(chan struct{}), byID: make(map[string]*allocation),
		stepInterval: defaultStepInterval, store: s,
	}
	for t := range s.state.changedAt {
		s.state.changedAt[t] = s.state.index
	}
	s.state.addNamespace("default", "Default shared namespace")
	return s
}

// view calls read in a transaction that must not change the state.
func (s *stateStore) view(read func(st *state)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	read(&s.state)
}

// update calls change in a transaction that may change the state.
func (s *stateStore) update(change func(st *state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

// acquire reports whether the store is open. If so, close waits until release is called.
func (s *stateStore) acquire() bool {
	s.life.Lock()
	defer s.life.Unlock()
	if !s.closed {
		s.inUse.Add(1)
	}
	return !s.closed
}

func (s *stateStore) release() { s.inUse.Done() }

// close cancels the delayed transactions and the context, and waits for everything that has acquired the store.
func (s *stateStore) close() {
	s.life.Lock()
	s.closed = true
	s.life.Unlock()
	s.cancel()
	s.inUse.Wait()
}

// context returns a context that is canceled when the store is closed.
func (s *stateStore) context() context.Context { return s.ctx }
