package console

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// TestProgramIO_ClaimsOnFirstByte checks that signals go to the program as soon as the client has received output,
// even if the program has not read any input.
func TestProgramIO_ClaimsOnFirstByte(t *testing.T) {
	for name, first := range map[string]func(stdin io.Reader, out ByteOutput){
		"stdin":  func(stdin io.Reader, _ ByteOutput) { stdin.Read(make([]byte, 1)) },
		"stdout": func(_ io.Reader, out ByteOutput) { io.WriteString(out.Stdout, "x") },
		"stderr": func(_ io.Reader, out ByteOutput) { io.WriteString(out.Stderr, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				interrupted := 0
				typed, typing := io.Pipe()
				defer typing.Close()
				keys := newTerminalInput(typed, true, func() { interrupted++ })
				defer keys.close()
				var output bytes.Buffer
				c := &Console{
					Stdin: keys, ByteOutput: ByteOutput{&output, &output}, Signals: NewSignals(func(error) { interrupted++ }),
				}
				stdin, signals, out := c.ProgramIO()
				c.Signals.Deliver("INT")
				io.WriteString(typing, "a\x03")
				synctest.Wait()
				if interrupted != 2 || len(signals) != 0 {
					t.Errorf("before: %d interrupts and %d signals, want 2 and 0", interrupted, len(signals))
				}
				first(stdin, out)
				c.Signals.Deliver("INT")
				c.Signals.Deliver("USR1")
				io.WriteString(typing, "\x03")
				synctest.Wait()
				if interrupted != 2 || len(signals) != 2 {
					t.Errorf("after: %d interrupts and %d signals, want 2 and 2", interrupted, len(signals))
				}
			})
		})
	}
}

func TestProgramIO_KeepsEarlyInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := bytes.Repeat([]byte("0123456789abcde\n"), 20_000)
		keys := newTerminalInput(bytes.NewReader(text), true, func() {})
		synctest.Wait()
		if got, err := io.ReadAll(keys); err != nil || !bytes.Equal(got, text) {
			t.Errorf("got %d bytes of %d, %v", len(got), len(text), err)
		}
	})
}

// TestTerminalInput_CtrlCAfterUnread checks that Ctrl-C works in a command that reads nothing, regardless of how
// much was typed before it.
func TestTerminalInput_CtrlCAfterUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted := 0
		keys := newTerminalInput(bytes.NewReader(append(bytes.Repeat([]byte("x"), 1<<20), CtrlC)), false,
			func() { interrupted++ })
		defer keys.close()
		synctest.Wait()
		if interrupted != 1 {
			t.Errorf("%d interrupts, want 1", interrupted)
		}
	})
	synctest.Test(t, func(t *testing.T) { // lossless until IgnoreInput
		interrupted := 0
		keys := newTerminalInput(iotest.OneByteReader(bytes.NewReader(append(bytes.Repeat([]byte("x"), 1<<17), CtrlC))), true,
			func() { interrupted++ })
		defer keys.close()
		synctest.Wait()
		if interrupted != 0 {
			t.Errorf("%d interrupts before that, want none", interrupted)
		}
		(&Console{Stdin: keys}).IgnoreInput()
		synctest.Wait()
		if interrupted != 1 {
			t.Errorf("%d interrupts, want 1", interrupted)
		}
	})
}
