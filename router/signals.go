package router

import "sync"

// Signals is the signals that a client sends.
type Signals struct {
	interrupt func()

	channel chan string

	mu    sync.Mutex
	taken bool // they go to the channel and do not interrupt
}

// NewSignals returns Signals that call interrupt until the command takes them.
func NewSignals(interrupt func()) *Signals {
	return &Signals{interrupt: interrupt, channel: make(chan string, 16)}
}

// Deliver passes a signal on, named as SSH does: INT, TERM, HUP... It reports whether it could.
func (s *Signals) Deliver(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case "INT", "TERM", "HUP", "QUIT", "KILL":
		if !s.taken {
			s.interrupt()
			return true
		}
	}
	select {
	case s.channel <- name: // for a program that may be about to begin
		return true
	default: // more than any program waits for
		return false
	}
}

func (s *Signals) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = true
}
