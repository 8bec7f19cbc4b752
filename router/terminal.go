package router

import (
	"sync"

	"nomadctld/backends"
)

// Terminal is the client's terminal. Its methods may be called at the same time.
type Terminal struct {
	Name  string // TERM
	Modes backends.TerminalModes

	resized       chan struct{}
	mu            sync.Mutex
	width, height int
}

// NewTerminal returns a terminal of width columns and height rows; 0 is unknown.
func NewTerminal(name string, width, height int) *Terminal {
	return &Terminal{Name: name, width: width, height: height, resized: make(chan struct{}, 1)}
}

// SetModes notes the modes of the client's terminal, as SSH encodes them. It is called before anybody else has the terminal.
func (t *Terminal) SetModes(encoded string) (err error) {
	t.Modes, err = backends.ParseTerminalModes(encoded)
	return err
}

// Size returns columns and rows as they are now; 0 is unknown.
func (t *Terminal) Size() (width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.width, t.height
}

// Resize notes a new size.
func (t *Terminal) Resize(width, height int) {
	t.mu.Lock()
	t.width, t.height = width, height
	t.mu.Unlock()
	select {
	case t.resized <- struct{}{}:
	default: // one is waiting already; Size tells the latest
	}
}

// Resized gets a value after a change of size; several may come as one. It is for one reader.
func (t *Terminal) Resized() <-chan struct{} { return t.resized }
