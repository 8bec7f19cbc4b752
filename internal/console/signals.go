package console

import (
	"sync"

	"nomadctld/internal/signals"
)

// Signals receives the signals that a client sends.
type Signals struct {
	interrupt func(error)
	channel   chan string // signals for the program
	mu        sync.Mutex
	claimed   bool // guarded by mu; signals go to the channel and no longer interrupt
}

// NewSignals returns Signals that call interrupt with an *InterruptError until the command claims them.
func NewSignals(interrupt func(error)) *Signals {
	return &Signals{interrupt: interrupt, channel: make(chan string, 16)}
}

// Deliver delivers a signal by its SSH name: INT, TERM, HUP... It reports whether it was delivered.
func (s *Signals) Deliver(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number := signals.Interrupt(name); number != 0 && !s.claimed {
		s.interrupt(&InterruptError{Signal: number})
		return true
	}
	select {
	case s.channel <- name: // for a program that may be about to start
		return true
	default: // the program is not reading its signals
		return false
	}
}

// claim makes all further signals go to the channel.
func (s *Signals) claim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = true
}
