package console

import (
	"sync"

	"nomadctld/backends"
)

// Terminal is the client's terminal. Its methods are safe for concurrent use.
type Terminal struct {
	Name  string // TERM
	Modes backends.TerminalModes

	resized       chan struct{}
	mu            sync.Mutex
	width, height int // guarded by mu
}

// NewTerminal returns a terminal of width columns and height rows; 0 means unknown.
func NewTerminal(name string, width, height int) *Terminal {
	return &Terminal{Name: name, width: width, height: height, resized: make(chan struct{}, 1)}
}

// SetModes sets the terminal modes from their SSH encoding. It must be called before the terminal is shared.
func (t *Terminal) SetModes(encoded string) (err error) {
	t.Modes, err = backends.ParseTerminalModes(encoded)
	return err
}

// interpretsEscapes reports whether there is a terminal that interprets escape sequences for colors and the cursor. It
// is false for a terminal without a name, because nothing is known about it.
func (t *Terminal) interpretsEscapes() bool { return t != nil && t.Name != "" && t.Name != "dumb" }

// Size returns the current columns and rows; 0 means unknown.
func (t *Terminal) Size() (width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.width, t.height
}

// Resize sets a new size.
func (t *Terminal) Resize(width, height int) {
	t.mu.Lock()
	t.width, t.height = width, height
	t.mu.Unlock()
	select {
	case t.resized <- struct{}{}:
	default: // a notification is already pending, and its receiver calls Size
	}
}

// Resized returns a channel that receives a value after a change of size. Several changes may produce one value. Only
// one goroutine may receive from it.
func (t *Terminal) Resized() <-chan struct{} { return t.resized }
