package sshd

import (
	"context"
	"time"
)

// Drain makes the server accept no new connections and no new commands. Running commands get a notice and continue.
// Connections without a command are closed. Serve continues until its context ends.
func (s *Server) Drain() {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return
	}
	s.draining = true
	if s.listener != nil {
		s.listener.Close()
	}
	s.mu.Unlock()
	s.printNotices()
}

// Drained returns a channel that is closed when the server is draining and has no connections and commands any more. It
// stays open if the server stops before.
func (s *Server) Drained() <-chan struct{} { return s.drainedChannel() }

func (s *Server) drainedChannel() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	return s.drained
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// closeIdleUntil closes connections without a session until ctx ends.
func (s *Server) closeIdleUntil(ctx context.Context) {
	const interval = 100 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for s.closeIdle(false) > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
	close(s.drainedChannel())
	<-ctx.Done()
}
