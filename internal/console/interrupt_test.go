package console

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestInterruptError(t *testing.T) {
	wrapped := fmt.Errorf("restart: %w", &InterruptError{Signal: 15})
	if !errors.Is(wrapped, ErrInterrupted) || wrapped.Error() != "restart: interrupted" {
		t.Errorf("got %q, want an error that is ErrInterrupted", wrapped)
	}
	own := &InterruptError{Signal: 2, Err: ErrUnconfirmed}
	if errors.Is(own, ErrInterrupted) || !errors.Is(own, ErrUnconfirmed) || own.Error() != ErrUnconfirmed.Error() {
		t.Errorf("got %q, want an error that is only ErrUnconfirmed", own)
	}
}

func TestInterruptOnCtrlC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		c := &Console{Terminal: NewTerminal("xterm", 80, 24), Stdin: strings.NewReader("abc\x03")}
		stop := c.InterruptOnCtrlC(false, func(err error) { cause = err })
		synctest.Wait()
		if cause != ErrInterrupted {
			t.Errorf("got %v, want ErrInterrupted", cause)
		}
		stop()
		if got, err := io.ReadAll(c.Stdin); string(got) != "abc\x03" || err != nil {
			t.Errorf("read %q, %v, want the input before Ctrl-C too", got, err)
		}
	})
	stdin := strings.NewReader("\x03")
	c := &Console{Stdin: stdin}
	defer c.InterruptOnCtrlC(false, func(err error) { t.Errorf("without a terminal: interrupted with %v", err) })()
	if c.Stdin != stdin {
		t.Error("without a terminal, the input was replaced")
	}
}
