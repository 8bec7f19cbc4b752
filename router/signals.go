package router

import "sync"

// Signals is the signals that a client sends.
type Signals struct {
	interrupt func(error)

	channel chan string

	mu      sync.Mutex
	claimed bool // they go to the channel and do not interrupt
}

// NewSignals returns Signals that call interrupt, with an ErrInterrupted that has the code for the signal, until the command
// takes them.
func NewSignals(interrupt func(error)) *Signals {
	return &Signals{interrupt: interrupt, channel: make(chan string, 16)}
}

// interruptSignals is the signals that interrupt a command, with their numbers.
var interruptSignals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "TERM": 15}

// Deliver passes a signal on, named as SSH does: INT, TERM, HUP... It reports whether it could.
func (s *Signals) Deliver(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number := interruptSignals[name]; number != 0 && !s.claimed {
		s.interrupt(Exit(128+number, ErrInterrupted))
		return true
	}
	select {
	case s.channel <- name: // for a program that may be about to begin
		return true
	default: // more than any program waits for
		return false
	}
}

func (s *Signals) claim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = true
}
