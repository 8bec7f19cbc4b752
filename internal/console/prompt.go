package console

import (
	"context"
	"errors"
	"io"
	"strings"

	"nomadctld/internal/signals"
)

// ErrUnconfirmed is returned if the user did not confirm a prompt.
var ErrUnconfirmed = errors.New("nothing was done")

// CtrlC is the byte that a terminal sends for Ctrl-C.
const CtrlC = 3

// Ask prints a prompt, which may be empty, on the terminal and returns the next key typed. If there is a prompt, input
// typed before it is discarded. While Ask waits, Ctrl-C is a key like any other; afterwards it interrupts the command
// again.
func (c *Console) Ask(ctx context.Context, prompt string) (byte, error) {
	if keys, ok := c.Stdin.(*terminalInput); ok {
		keys.claim()
		defer keys.release()
		if prompt != "" {
			keys.discard()
		}
	}
	io.WriteString(c.StatusWriter(), prompt)
	key := make([]byte, 1)
	typed := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(c.Stdin, key)
		typed <- err
	}()
	select {
	case err := <-typed:
		return key[0], err
	case <-ctx.Done(): // the reading goroutine ends with the session
		return 0, context.Cause(ctx)
	}
}

// Choose prompts for one of several keys and returns the chosen key in lower case, or ErrUnconfirmed for any other key.
// It needs a terminal. The prompt may contain untrusted text.
func (c *Console) Choose(ctx context.Context, keys, prompt string) (byte, error) {
	key, err := c.Ask(ctx, c.Message(prompt))
	if 'A' <= key && key <= 'Z' {
		key += 'a' - 'A'
	}
	if err == nil && strings.IndexByte(keys, key) >= 0 {
		io.WriteString(c.StatusWriter(), string(rune(key))+"\n")
		return key, nil
	}
	io.WriteString(c.StatusWriter(), "n\n")
	if key == CtrlC {
		return 0, &InterruptError{Signal: signals.Interrupt("INT"), Err: ErrUnconfirmed}
	}
	return 0, ErrUnconfirmed
}
