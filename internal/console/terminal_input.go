package console

import (
	"bytes"
	"io"
	"sync"
)

// terminalInput buffers the user's input on a terminal. Ctrl-C interrupts the command until the command claims the
// input. Input typed before that is kept for the command.
type terminalInput struct {
	interrupt func()

	mu       sync.Mutex // guards all fields below
	changed  sync.Cond  // one of the fields below has changed
	lossless bool       // the input may be for a program, so none of it may be dropped
	typed    []byte     // input that has not been read, at most about maxTyped
	err      error      // the error of the session's stdin
	claimed  bool       // Ctrl-C is ordinary input
	closed   bool       // there will be no more reads
}

// maxTyped limits how much unread input is buffered.
const maxTyped = 64 << 10

// newTerminalInput starts to read the source. Unless lossless is set, unread input over the limit is dropped until
// the input is claimed, so that a Ctrl-C behind it still works.
func newTerminalInput(source io.Reader, lossless bool, interrupt func()) *terminalInput {
	t := &terminalInput{interrupt: interrupt, lossless: lossless}
	t.changed.L = &t.mu
	go t.readLoop(source)
	return t
}

// readLoop reads until the source ends.
func (t *terminalInput) readLoop(source io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := source.Read(buf)
		if !t.add(buf[:n], err) {
			return
		}
	}
}

// add buffers input and reports whether more may follow. In lossless mode, and once the input is claimed, it waits
// while the buffer is full.
func (t *terminalInput) add(typed []byte, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.claimed && bytes.IndexByte(typed, CtrlC) >= 0 {
		t.interrupt()
	}
	for (t.claimed || t.lossless) && len(t.typed) >= maxTyped && !t.closed {
		t.changed.Wait()
	}
	if len(t.typed) < maxTyped {
		t.typed = append(t.typed, typed...)
	}
	t.err = err
	t.changed.Broadcast()
	return err == nil
}

// close declares that there will be no more reads. The source is still read until it ends with the session.
func (t *terminalInput) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.changed.Broadcast()
}

// Read waits for input and claims it.
func (t *terminalInput) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claimed = true
	for len(t.typed) == 0 && t.err == nil && !t.closed {
		t.changed.Wait()
	}
	n := copy(p, t.typed)
	t.typed = append(t.typed[:0], t.typed[n:]...)
	t.changed.Broadcast()
	switch {
	case n > 0:
		return n, nil
	case t.err != nil:
		return 0, t.err
	}
	return 0, io.EOF
}

// allowLoss permits dropping unread input.
func (t *terminalInput) allowLoss() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lossless = false
	t.changed.Broadcast()
}

// claim makes Ctrl-C ordinary input.
func (t *terminalInput) claim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claimed = true
}

// discard drops the unread input.
func (t *terminalInput) discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.typed = t.typed[:0]
	t.changed.Broadcast()
}

// release makes Ctrl-C interrupt again.
func (t *terminalInput) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claimed = false
}
