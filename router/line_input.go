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
	return &lineInput{from: r.Stdin, screen: r.Bytes.Stdout, leave: leave, editor: newLineEditor(r.Terminal.Modes, detach)}
}

// lineInput is for one reader.
type lineInput struct {
	from   io.Reader
	screen io.Writer
	leave  func(error)
	editor *lineEditor

	lines []byte // complete, and not read yet
	what  typing // what comes behind them
	rest  []byte // keys behind that
	err   error
}

func (l *lineInput) Read(p []byte) (int, error) {
	keys := make([]byte, 1<<10)
	for len(l.lines) == 0 {
		switch {
		case l.err != nil:
			return 0, l.err
		case l.what == typingEnd:
			l.err = io.EOF
			go func() { // the user may still want to leave
				if err := backends.Protect(func() error { l.watch(); return nil }); err != nil {
					l.leave(err)
				}
			}()
			return 0, io.EOF
		case l.what != typingOn:
			l.err = l.left()
			return 0, l.err
		}
		n, err := l.from.Read(keys)
		l.take(keys[:n])
		if err != nil && l.what == typingOn {
			l.err = err
		}
	}
	n := copy(p, l.lines)
	l.lines = l.lines[n:]
	return n, nil
}

// take gives keys to the editor and shows what comes of them.
func (l *lineInput) take(keys []byte) {
	var shown []byte
	for i, key := range keys {
		lines, echo, what := l.editor.feed(key)
		l.lines, shown, l.what = append(l.lines, lines...), append(shown, echo...), what
		if what != typingOn {
			l.rest = keys[i+1:]
			break
		}
	}
	if len(shown) > 0 {
		l.screen.Write(shown) // one who has gone ends the session
	}
}

// left leaves, as what was typed asks for, and returns why.
func (l *lineInput) left() error {
	why := ErrInterrupted
	if l.what == typingDetach {
		why = backends.ErrDetached
	}
	l.leave(why)
	return why
}

// watch looks for the keys that leave, once the input has ended.
func (l *lineInput) watch() {
	keys := make([]byte, 1<<10)
	for {
		for _, key := range l.rest {
			if _, _, l.what = l.editor.feed(key); l.what == typingInterrupt || l.what == typingDetach {
				l.left()
				return
			}
		}
		n, err := l.from.Read(keys)
		if err != nil {
			return
		}
		l.rest = keys[:n]
	}
}
