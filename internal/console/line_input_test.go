package console

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"nomadctld/backends"
)

func TestLineInput(t *testing.T) {
	for name, c := range map[string]struct {
		typed, read   string
		err, canceled error
	}{
		"lines, and the client goes away": {"a\rb\r", "a\nb\n", io.ErrUnexpectedEOF, nil},
		"a line, and Ctrl-C behind it":    {"a\r\x03", "a\n", ErrInterrupted, ErrInterrupted},
		"a line, and the detach keys":     {"a\rb\x10\x11", "a\n", backends.ErrDetached, backends.ErrDetached},
		"the end of input":                {"a\r\x04", "a\n", io.EOF, nil},
		"the end, and Ctrl-C":             {"a\r\x04x\x03", "a\n", io.EOF, ErrInterrupted},
		"the end twice, and detaching":    {"\x04\x04\x10\x11", "", io.EOF, backends.ErrDetached},
	} {
		keys, typing := io.Pipe()
		canceled := make(chan error, 1)
		client := &Console{
			Stdin: keys, Terminal: NewTerminal("xterm", 80, 24), ByteOutput: ByteOutput{Stdout: new(bytes.Buffer)},
		}
		input := client.LineInput(backends.ParseDetachKeys("ctrl-p,ctrl-q"), func(err error) { canceled <- err })
		go func() {
			io.WriteString(typing, c.typed)
			typing.CloseWithError(io.ErrUnexpectedEOF)
		}()
		read, small := "", make([]byte, 1)
		var err error
		for err == nil {
			var n int
			n, err = input.Read(small)
			if read += string(small[:n]); n > 0 && len(canceled) > 0 {
				t.Errorf("%s: it was canceled before %q was read", name, read)
			}
		}
		if read != c.read || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, read, err, c.read, c.err)
		}
		if c.canceled != nil {
			if why := <-canceled; !errors.Is(why, c.canceled) {
				t.Errorf("%s: canceled with %v, want %v", name, why, c.canceled)
			}
		} else if len(canceled) > 0 {
			t.Errorf("%s: canceled with %v", name, <-canceled)
		}
	}
	if (&Console{}).LineInput(nil, nil) != nil {
		t.Error("without a terminal: got an editor")
	}
}
