package router

import (
	"bytes"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"nomadctld/backends"
)

// lineEditor makes lines of keys, as the terminal driver of a kernel does in its cooked mode, for programs that have no
// terminal. It does no I/O.
type lineEditor struct {
	erase, kill, eof, intr, quit, werase, lnext, reprint byte // 0: none
	silent                                               bool // the user's terminal shows nothing of what is typed
	detach                                               []byte

	line    []byte // is being typed
	literal bool   // the next key stands for itself
	matched int    // so many of the detach keys were typed last, and are not in the line yet
}

// typing is what came of keys.
type typing int

const (
	typingOn typing = iota
	typingEnd
	typingInterrupt
	typingDetach
)

// maxTypedLine is how long a line may become, as in Linux.
const maxTypedLine = 4095

// newLineEditor returns an editor with the keys of a user's terminal, or else the usual ones.
func newLineEditor(modes backends.TerminalModes, detach []byte) *lineEditor {
	key := func(opcode, usual byte) byte {
		if char, ok := modes.Char(opcode); ok {
			return char
		}
		return usual
	}
	return &lineEditor{
		erase: key(backends.ModeErase, del), kill: key(backends.ModeKill, ctrl('U')), eof: key(backends.ModeEOF, ctrl('D')),
		intr: key(backends.ModeIntr, ctrlC), quit: key(backends.ModeQuit, ctrl('\\')), werase: key(backends.ModeWerase, ctrl('W')),
		lnext: key(backends.ModeLnext, ctrl('V')), reprint: key(backends.ModeReprint, ctrl('R')),
		silent: modes.IsOff(backends.ModeEcho), detach: detach,
	}
}

func ctrl(letter byte) byte { return letter & 0x1f }

const del = 0x7f

// feed takes a key and returns the lines that it completes, what the terminal is to show, and what it asks for.
func (e *lineEditor) feed(key byte) (lines, shown []byte, what typing) {
	if len(e.detach) == 0 || e.literal {
		return e.key(key, nil, nil)
	}
	if key == e.detach[e.matched] {
		if e.matched++; e.matched == len(e.detach) {
			e.matched = 0
			return nil, e.newline(nil), typingDetach
		}
		return nil, nil, typingOn
	}
	held := e.detach[:e.matched]
	e.matched = 0
	for _, before := range held {
		if lines, shown, what = e.key(before, lines, shown); what != typingOn {
			return lines, shown, what
		}
	}
	if key == e.detach[0] {
		e.matched = 1
		return lines, shown, typingOn
	}
	return e.key(key, lines, shown)
}

// newline moves to the beginning of a line if something has been typed on this one.
func (e *lineEditor) newline(shown []byte) []byte {
	if len(e.line) > 0 && !e.silent {
		shown = append(shown, "\r\n"...)
	}
	return shown
}

// key takes one key.
func (e *lineEditor) key(key byte, lines, shown []byte) ([]byte, []byte, typing) {
	is := func(special byte) bool { return key == special && special != 0 }
	switch {
	case e.literal:
		e.literal = false
		shown = e.add(key, shown)
	case key == '\r', key == '\n':
		lines = append(append(lines, e.line...), '\n')
		e.line = e.line[:0]
		shown = e.show(shown, "\r\n")
	case is(e.intr), is(e.quit):
		return lines, e.show(shown, caret(key)+"\r\n"), typingInterrupt
	case is(e.eof):
		if len(e.line) == 0 {
			return lines, shown, typingEnd
		}
		lines = append(lines, e.line...)
		e.line = e.line[:0]
	case is(e.erase), key == del, key == '\b':
		shown = e.rub(e.last(), shown)
	case is(e.werase):
		n := len(bytes.TrimRight(e.line, " \t"))
		for n > 0 && e.line[n-1] != ' ' && e.line[n-1] != '\t' {
			n--
		}
		shown = e.rub(len(e.line)-n, shown)
	case is(e.kill):
		shown = e.rub(len(e.line), shown)
	case is(e.lnext):
		e.literal = true
		shown = e.show(shown, "^\b")
	case is(e.reprint):
		shown = e.show(shown, caret(key)+"\r\n"+string(visible(e.line)))
	case key == ctrl('Z'): // there is nothing to suspend
		shown = append(shown, '\a')
	case key == ctrl('S'), key == ctrl('Q'): // nor to stop
	default:
		shown = e.add(key, shown)
	}
	return lines, shown, typingOn
}

func (e *lineEditor) show(shown []byte, text string) []byte {
	if e.silent {
		return shown
	}
	return append(shown, text...)
}

// add puts a key into the line.
func (e *lineEditor) add(key byte, shown []byte) []byte {
	if len(e.line) == maxTypedLine {
		return append(shown, '\a')
	}
	e.line = append(e.line, key)
	return e.show(shown, string(visible([]byte{key})))
}

// last returns how long the last character of the line is, with what combines with it. Bytes that are not UTF-8 are
// characters of their own.
func (e *lineEditor) last() (length int) {
	for length < len(e.line) {
		r, size := utf8.DecodeLastRune(e.line[:len(e.line)-length])
		length += size
		if r < firstCombining || columns.RuneWidth(r) > 0 {
			break
		}
	}
	return length
}

const firstCombining = 0x300

// columns measures characters as terminals outside of East Asia show them, whatever the gateway's own locale.
var columns = &runewidth.Condition{}

// rub takes the last n bytes out of the line, and off the terminal.
func (e *lineEditor) rub(n int, shown []byte) []byte {
	from := len(e.line) - n
	for width := width(e.line[from:]); width > 0; width-- {
		shown = e.show(shown, "\b \b")
	}
	e.line = e.line[:from]
	return shown
}

// caret is how a control character is shown.
func caret(key byte) string { return "^" + string(rune(key^0x40)) }

// visible is how part of a line is shown.
func visible(line []byte) (shown []byte) {
	for _, c := range line {
		if c < ' ' || c == del {
			shown = append(shown, caret(c)...)
		} else {
			shown = append(shown, c)
		}
	}
	return shown
}

// width is how many columns part of a line takes.
func width(line []byte) (width int) {
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		if r < ' ' || r == del {
			width += len("^X")
		} else {
			width += columns.RuneWidth(r)
		}
		line = line[size:]
	}
	return width
}
