package router

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// terminalInput is what a user types on a terminal. Ctrl-C interrupts the command until it reads what is typed; what was typed
// before that is kept for it.
type terminalInput struct {
	interrupt func()

	mu       sync.Mutex
	changed  sync.Cond // something of the following has changed
	lossless bool      // it is a program's input, of which nothing may be lost
	typed    []byte
	err      error
	claimed  bool
	closed   bool // nobody will read any more
}

// maxTyped is how much is kept of what nobody has read yet.
const maxTyped = 64 << 10

// newTerminalInput reads from until it ends. What is no program's input is dropped when there is too much that nobody reads, so
// that Ctrl-C is heard behind it.
func newTerminalInput(from io.Reader, input bool, interrupt func()) *terminalInput {
	k := &terminalInput{interrupt: interrupt, lossless: input}
	k.changed.L = &k.mu
	go k.readLoop(from)
	return k
}

func (k *terminalInput) readLoop(from io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if !k.add(buf[:n], err) {
			return
		}
	}
}

// add keeps what was typed, and reports whether there may be more.
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

// close says that nobody will read any more. Reading goes on until from ends, which it does with the session.
func (k *terminalInput) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.changed.Broadcast()
}

// Read waits for something to be typed.
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

// allowLoss lets what nobody reads be dropped although it is a program's input.
func (k *terminalInput) allowLoss() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lossless = false
	k.changed.Broadcast()
}

// claim lets Ctrl-C be a key like any other from now on.
func (k *terminalInput) claim() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claimed = true
}

// discard drops what was typed and not read.
func (k *terminalInput) discard() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.typed = k.typed[:0]
	k.changed.Broadcast()
}

// release lets Ctrl-C interrupt again, after something was read.
func (k *terminalInput) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.claimed = false
}

// Ask shows a question, if it is one, on the terminal and returns the next key that is typed. What was typed before a
// question was seen is no answer to it. Ctrl-C is a key like any other from then on, and interrupts the command again after
// that.
func (r *Request) Ask(ctx context.Context, question string) (byte, error) {
	if keys, ok := r.Stdin.(*terminalInput); ok {
		keys.claim()
		defer keys.release()
		if question != "" {
			keys.discard()
		}
	}
	io.WriteString(r.StatusWriter(), question)
	key := make([]byte, 1)
	typed := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(r.Stdin, key)
		typed <- err
	}()
	select {
	case err := <-typed:
		return key[0], err
	case <-ctx.Done(): // the reader ends with the session
		return 0, context.Cause(ctx)
	}
}
