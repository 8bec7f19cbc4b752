package console

import (
	"io"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// LineInput returns the user's input as edited lines, for a program that has no terminal. The gateway must edit and
// echo the input, because the client's terminal is in raw mode. Ctrl-C calls cancel with ErrInterrupted, the detach
// keys call it with backends.ErrDetached. Ctrl-D on an empty line ends the input. LineInput returns nil for a client
// without a terminal.
func (c *Console) LineInput(detach []byte, cancel func(error)) io.Reader {
	if c.Terminal == nil {
		return nil
	}
	return &lineInput{
		from: c.Stdin, screen: c.ByteOutput.Stdout, cancel: cancel,
		editor: newLineEditor(c.Terminal.Modes, detach),
	}
}

// lineInput is not safe for concurrent use.
type lineInput struct {
	from   io.Reader
	screen io.Writer
	cancel func(error)
	editor *lineEditor

	lines    []byte      // complete lines that have not been read
	event    editorEvent // occurred after these lines
	restKeys []byte      // keys typed after the event
	err      error
}

func (l *lineInput) Read(p []byte) (int, error) {
	keys := make([]byte, 1<<10)
	for len(l.lines) == 0 {
		switch {
		case l.err != nil:
			return 0, l.err
		case l.event == eventEOF:
			l.err = io.EOF
			go func() { // Ctrl-C and the detach keys must still work
				if err := safego.Protect(func() error { l.watchForCancel(); return nil }); err != nil {
					l.cancel(err)
				}
			}()
			return 0, io.EOF
		case l.event != eventNone:
			l.err = l.stop()
			return 0, l.err
		}
		n, err := l.from.Read(keys)
		l.feed(keys[:n])
		if err != nil && l.event == eventNone {
			l.err = err
		}
	}
	n := copy(p, l.lines)
	l.lines = l.lines[n:]
	return n, nil
}

// feed passes keys to the editor and echoes its output.
func (l *lineInput) feed(keys []byte) {
	var screenText []byte
	for i, key := range keys {
		lines, echo, event := l.editor.feed(key)
		l.lines, screenText, l.event = append(l.lines, lines...), append(screenText, echo...), event
		if event != eventNone {
			l.restKeys = keys[i+1:]
			break
		}
	}
	if len(screenText) > 0 {
		l.screen.Write(screenText) // on an error the client is disconnected, which ends the session
	}
}

// stop calls cancel with the cause that matches the event, and returns it.
func (l *lineInput) stop() error {
	cause := ErrInterrupted
	if l.event == eventDetach {
		cause = backends.ErrDetached
	}
	l.cancel(cause)
	return cause
}

// watchForCancel waits for Ctrl-C or the detach keys after the input has ended.
func (l *lineInput) watchForCancel() {
	keys := make([]byte, 1<<10)
	for {
		for _, key := range l.restKeys {
			if _, _, l.event = l.editor.feed(key); l.event == eventInterrupt || l.event == eventDetach {
				l.stop()
				return
			}
		}
		n, err := l.from.Read(keys)
		if err != nil {
			return
		}
		l.restKeys = keys[:n]
	}
}
