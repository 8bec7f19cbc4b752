package router

import (
	"io"

	"nomadctld/backends"
)

// LineInput returns what a user types as lines, for a program that has no terminal: it is edited and shown here, because the
// client's terminal leaves that to the other side. Ctrl-C and the detach keys call leave, with ErrInterrupted and
// backends.ErrDetached; Ctrl-D at the beginning of a line ends the input. It is nil for a client without a terminal.
func (r *Request) LineInput(detach []byte, leave func(error)) io.Reader {
	if r.Terminal == nil {
		return nil
	}
	return &lineInput{from: r.Stdin, screen: r.Bytes.Stdout, cancel: leave, editor: newLineEditor(r.Terminal.Modes, detach)}
}

// lineInput is for one reader.
type lineInput struct {
	from   io.Reader
	screen io.Writer
	cancel func(error)
	editor *lineEditor

	lines    []byte      // complete, and not read yet
	event    editorEvent // what comes behind them
	restKeys []byte      // keys behind that
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
			go func() { // the user may still want to leave
				if err := backends.Protect(func() error { l.watchForCancel(); return nil }); err != nil {
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

// feed gives keys to the editor and shows what comes of them.
func (l *lineInput) feed(keys []byte) {
	var shown []byte
	for i, key := range keys {
		lines, echo, what := l.editor.feed(key)
		l.lines, shown, l.event = append(l.lines, lines...), append(shown, echo...), what
		if what != eventNone {
			l.restKeys = keys[i+1:]
			break
		}
	}
	if len(shown) > 0 {
		l.screen.Write(shown) // one who has gone ends the session
	}
}

// stop leaves, as what was typed asks for, and returns why.
func (l *lineInput) stop() error {
	why := ErrInterrupted
	if l.event == eventDetach {
		why = backends.ErrDetached
	}
	l.cancel(why)
	return why
}

// watchForCancel looks for the keys that leave, once the input has ended.
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
