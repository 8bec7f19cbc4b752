package router

import (
	"bytes"
	"context"
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

// newTerminalInput reads from until it ends. Unless lossless is set, unread input that exceeds the limit is dropped,
// so that a Ctrl-C behind it still works.
func newTerminalInput(from io.Reader, lossless bool, interrupt func()) *terminalInput {
	k := &terminalInput{interrupt: interrupt, lossless: lossless}
	k.changed.L = &k.mu
	go k.readLoop(from)
	return k
}

// readLoop reads until the source ends.
func (k *terminalInput) readLoop(from io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if !k.add(buf[:n], err) {
			return
		}
	}
}

// add buffers input and reports whether more may follow. In lossless mode it waits while the buffer is full.
func (k *terminalInput) add(typed []byte, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.claimed && bytes.IndexByte(typed, ctrlC) >= 0 {
		k.interrupt()
	}
	for (k.claimed || k.lossless) && len(k.typed) >= maxTyped && !k.closed {
		k.changed.Wait()
	}
	if len(k.typed) < maxTyped {
		k.typed = append(k.typed, typed...)
	}
	k.err = err
	k.changed.Broadcast()
	return err == nil
}

const ctrlC = 3

// close declares that there will be no more reads. The source is still read until it ends with the session.
func (k *terminalInput) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.changed.Broadcast()
}

// Read waits for input and claims it.
func (k *terminalInput) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claimed = true
	for len(k.typed) == 0 && k.err == nil && !k.closed {
		k.changed.Wait()
	}
	n := copy(p, k.typed)
	k.typed = append(k.typed[:0], k.typed[n:]...)
	k.changed.Broadcast()
	switch {
	case n > 0:
		return n, nil
	case k.err != nil:
		return 0, k.err
	}
	return 0, io.EOF
}

// allowLoss permits to drop unread input.
func (k *terminalInput) allowLoss() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lossless = false
	k.changed.Broadcast()
}

// claim makes Ctrl-C ordinary input.
func (k *terminalInput) claim() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claimed = true
}

// discard drops the unread input.
func (k *terminalInput) discard() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.typed = k.typed[:0]
	k.changed.Broadcast()
}

// release makes Ctrl-C interrupt again.
func (k *terminalInput) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claimed = false
}

// Ask prints a prompt, which may be empty, on the terminal and returns the next key typed. Input typed before the
// prompt was visible is discarded. While Ask waits, Ctrl-C is a key like any other; afterwards it interrupts the
// command again.
func (r *Request) Ask(ctx context.Context, prompt string) (byte, error) {
	if keys, ok := r.Stdin.(*terminalInput); ok {
		keys.claim()
		defer keys.release()
		if prompt != "" {
			keys.discard()
		}
	}
	io.WriteString(r.StatusWriter(), prompt)
	key := make([]byte, 1)
	typed := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(r.Stdin, key)
		typed <- err
	}()
	select {
	case err := <-typed:
		return key[0], err
	case <-ctx.Done(): // the reading goroutine ends with the session
		return 0, context.Cause(ctx)
	}
}
