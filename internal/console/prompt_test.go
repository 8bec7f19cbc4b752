package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// typist is a console on a terminal whose user the test plays.
type typist struct {
	*Console
	screen      bytes.Buffer
	keyboard    *io.PipeWriter
	interrupted int
	stop        func()
}

func newTypist(t *testing.T) *typist {
	u := &typist{}
	stdin, keyboard := io.Pipe()
	u.keyboard = keyboard
	u.Console = &Console{
		Stdin: stdin, Stdout: &u.screen, Stderr: io.Discard, Terminal: NewTerminal("xterm", 80, 24),
		Signals: NewSignals(func(error) {}),
	}
	u.stop = u.InterruptOnCtrlC(false, func(error) { u.interrupted++ })
	t.Cleanup(func() {
		keyboard.Close()
		u.stop()
	})
	return u
}

// typeKeys types and waits until the console has read the keys.
func (u *typist) typeKeys(keys string) {
	io.WriteString(u.keyboard, keys)
	synctest.Wait()
}

func TestChoose(t *testing.T) {
	for typed, tc := range map[string]struct {
		key    byte
		err    error
		code   int // of an InterruptError
		screen string
	}{
		"y":    {'y', nil, 0, "Go on? y\n"},
		"Y":    {'y', nil, 0, "Go on? y\n"},
		"a":    {'a', nil, 0, "Go on? a\n"},
		"n":    {0, ErrUnconfirmed, 0, "Go on? n\n"},
		"x":    {0, ErrUnconfirmed, 0, "Go on? n\n"},
		"\r":   {0, ErrUnconfirmed, 0, "Go on? n\n"},
		"\x03": {0, ErrUnconfirmed, 130, "Go on? n\n"},
		"":     {0, ErrUnconfirmed, 0, "Go on? n\n"}, // the end of the input
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newTypist(t)
			go func() {
				synctest.Wait() // for the prompt
				io.WriteString(u.keyboard, typed)
				u.keyboard.Close()
			}()
			key, err := u.Choose(t.Context(), "ya", "Go on? ")
			code := 0
			var interrupt *InterruptError
			if errors.As(err, &interrupt) {
				code = interrupt.SessionExitCode()
			}
			if key != tc.key || !errors.Is(err, tc.err) || code != tc.code || u.screen.String() != tc.screen {
				t.Errorf("%q: got %q, %v, code %d and the screen %q, want %q, %v, %d and %q",
					typed, key, err, code, u.screen.String(), tc.key, tc.err, tc.code, tc.screen)
			}
			if u.interrupted > 0 {
				t.Errorf("%q: the prompt interrupted the command", typed)
			}
		})
	}
}

func TestChoose_EscapesPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTypist(t)
		u.keyboard.Close()
		u.Choose(t.Context(), "y", "Stop \x1b[2Jweb? ")
		if bytes.Contains(u.screen.Bytes(), []byte("\x1b")) {
			t.Errorf("the screen got %q", u.screen.String())
		}
	})
}

// TestAsk_EarlyInput checks that a key typed before a prompt does not confirm it, and that Ctrl-C interrupts the
// command again after the prompt.
func TestAsk_EarlyInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTypist(t)
		u.typeKeys("y")
		keys := make(chan byte)
		go func() {
			key, _ := u.Ask(t.Context(), "Sure? ")
			keys <- key
		}()
		synctest.Wait()
		if len(keys) > 0 {
			t.Fatal("the prompt took a key typed before it")
		}
		u.typeKeys("n")
		if key := <-keys; key != 'n' {
			t.Errorf("got %q, want n", key)
		}
		u.typeKeys("\x03")
		if u.interrupted != 1 {
			t.Errorf("%d interrupts after the prompt, want 1", u.interrupted)
		}
	})
}

func TestAsk_WithoutPromptKeepsInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTypist(t)
		u.typeKeys("y")
		if key, err := u.Ask(t.Context(), ""); key != 'y' || err != nil {
			t.Errorf("got %q, %v, want y", key, err)
		}
	})
}

func TestAsk_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTypist(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the client disconnected")
		go func() {
			synctest.Wait()
			cancel(gone)
		}()
		if _, err := u.Ask(ctx, "Sure? "); err != gone {
			t.Errorf("got %v, want %v", err, gone)
		}
	})
}
