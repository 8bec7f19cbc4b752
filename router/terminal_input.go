package router

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// keyboard is what a user types on a terminal. Ctrl-C interrupts the command until it reads what is typed; what was typed
// before that is kept for it.
type keyboard struct {
	interrupt func()

	mu    sync.Mutex
	moved sync.Cond // something of the following has changed
	input bool      // it is a program's input, of which nothing may be lost
	typed []byte
	err   error
	taken bool
	over  bool // nobody will read any more
}

// mostTyped is how much is kept of what nobody has read yet.
const mostTyped = 64 << 10

// newKeyboard reads from until it ends. What is no program's input is dropped when there is too much that nobody reads, so
// that Ctrl-C is heard behind it.
func newKeyboard(from io.Reader, input bool, interrupt func()) *keyboard {
	k := &keyboard{interrupt: interrupt, input: input}
	k.moved.L = &k.mu
	go k.pump(from)
	return k
}

func (k *keyboard) pump(from io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if !k.put(buf[:n], err) {
			return
		}
	}
}

// put keeps what was typed, and reports whether there may be more.
func (k *keyboard) put(typed []byte, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.taken && bytes.IndexByte(typed, ctrlC) >= 0 {
		k.interrupt()
	}
	for (k.taken || k.input) && len(k.typed) >= mostTyped && !k.over {
		k.moved.Wait()
	}
	if len(k.typed) < mostTyped {
		k.typed = append(k.typed, typed...)
	}
	k.err = err
	k.moved.Broadcast()
	return err == nil
}

const ctrlC = 3

// close says that nobody will read any more. Reading goes on until from ends, which it does with the session.
func (k *keyboard) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	k.moved.Broadcast()
}

// Read waits for something to be typed.
func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken = true
	for len(k.typed) == 0 && k.err == nil && !k.over {
		k.moved.Wait()
	}
	n := copy(p, k.typed)
	k.typed = append(k.typed[:0], k.typed[n:]...)
	k.moved.Broadcast()
	switch {
	case n > 0:
		return n, nil
	case k.err != nil:
		return 0, k.err
	}
	return 0, io.EOF
}

// ignore lets what nobody reads be dropped although it is a program's input.
func (k *keyboard) ignore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.input = false
	k.moved.Broadcast()
}

// take lets Ctrl-C be a key like any other from now on.
func (k *keyboard) take() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken = true
}

// forget drops what was typed and not read.
func (k *keyboard) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.typed = k.typed[:0]
	k.moved.Broadcast()
}

// release lets Ctrl-C interrupt again, after something was read.
func (k *keyboard) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken = false
}

// Ask shows a question, if it is one, on the terminal and returns the next key that is typed. What was typed before a
// question was seen is no answer to it. Ctrl-C is a key like any other from then on, and interrupts the command again after
// that.
func (r *Request) Ask(ctx context.Context, question string) (byte, error) {
	if keys, ok := r.Stdin.(*keyboard); ok {
		keys.take()
		defer keys.release()
		if question != "" {
			keys.forget()
		}
	}
	io.WriteString(r.Screen(), question)
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
