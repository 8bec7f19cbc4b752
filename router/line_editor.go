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
	noEcho                                               bool // the user's terminal shows nothing of what is typed
	detach                                               []byte

	line          []byte // is being typed
	literalNext   bool   // the next key stands for itself
	detachMatched int    // so many of the detach keys were typed last, and are not in the line yet
}

// editorEvent is what came of keys.
type editorEvent int

const (
	eventNone editorEvent = iota
	eventEOF
	eventInterrupt
	eventDetach
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
		noEcho: modes.IsOff(backends.ModeEcho), detach: detach,
	}
}

func ctrl(letter byte) byte { return letter & 0x1f }

const del = 0x7f

// feed takes a key and returns the lines that it completes, what the terminal is to show, and what it asks for.
func (e *lineEditor) feed(key byte) (lines, shown []byte, what editorEvent) {
	if len(e.detach) == 0 || e.literalNext {
		return e.handleKey(key, nil, nil)
	}
	if key == e.detach[e.detachMatched] {
		if e.detachMatched++; e.detachMatched == len(e.detach) {
			e.detachMatched = 0
			return nil, e.newline(nil), eventDetach
		}
		return nil, nil, eventNone
	}
	held := e.detach[:e.detachMatched]
	e.detachMatched = 0
	for _, before := range held {
		if lines, shown, what = e.handleKey(before, lines, shown); what != eventNone {
			return lines, shown, what
		}
	}
	if key == e.detach[0] {
		e.detachMatched = 1
		return lines, shown, eventNone
	}
	return e.handleKey(key, lines, shown)
}

// newline moves to the beginning of a line if something has been typed on this one.
func (e *lineEditor) newline(shown []byte) []byte {
	if len(e.line) > 0 && !e.noEcho {
		shown = append(shown, "\r\n"...)
	}
	return shown
}

// handleKey takes one key.
func (e *lineEditor) handleKey(key byte, lines, shown []byte) ([]byte, []byte, editorEvent) {
	is := func(special byte) bool { return key == special && special != 0 }
	switch {
	case e.literalNext:
		e.literalNext = false
		shown = e.insert(key, shown)
	case key == '\r', key == '\n':
		lines = append(append(lines, e.line...), '\n')
		e.line = e.line[:0]
		shown = e.echo(shown, "\r\n")
	case is(e.intr), is(e.quit):
		return lines, e.echo(shown, caretNotation(key)+"\r\n"), eventInterrupt
	case is(e.eof):
		if len(e.line) == 0 {
			return lines, shown, eventEOF
		}
		lines = append(lines, e.line...)
		e.line = e.line[:0]
	case is(e.erase), key == del, key == '\b':
		shown = e.eraseLast(e.lastCharLen(), shown)
	case is(e.werase):
		n := len(bytes.TrimRight(e.line, " \t"))
		for n > 0 && e.line[n-1] != ' ' && e.line[n-1] != '\t' {
			n--
		}
		shown = e.eraseLast(len(e.line)-n, shown)
	case is(e.kill):
		shown = e.eraseLast(len(e.line), shown)
	case is(e.lnext):
		e.literalNext = true
		shown = e.echo(shown, "^\b")
	case is(e.reprint):
		shown = e.echo(shown, caretNotation(key)+"\r\n"+string(echoText(e.line)))
	case key == ctrl('Z'): // there is nothing to suspend
		shown = append(shown, '\a')
	case key == ctrl('S'), key == ctrl('Q'): // nor to stop
	default:
		shown = e.insert(key, shown)
	}
	return lines, shown, eventNone
}

func (e *lineEditor) echo(shown []byte, text string) []byte {
	if e.noEcho {
		return shown
	}
	return append(shown, text...)
}

// insert puts a key into the line.
func (e *lineEditor) insert(key byte, shown []byte) []byte {
	if len(e.line) == maxTypedLine {
		return append(shown, '\a')
	}
	e.line = append(e.line, key)
	return e.echo(shown, string(echoText([]byte{key})))
}

// lastCharLen returns how long the last character of the line is, with what combines with it. Bytes that are not UTF-8 are
// characters of their own.
func (e *lineEditor) lastCharLen() (length int) {
	for length < len(e.line) {
		r, size := utf8.DecodeLastRune(e.line[:len(e.line)-length])
		length += size
		if r < firstCombining || runeWidths.RuneWidth(r) > 0 {
			break
		}
	}
	return length
}

const firstCombining = 0x300

// runeWidths measures characters as terminals outside of East Asia show them, whatever the gateway's own locale.
var runeWidths = &runewidth.Condition{}

// eraseLast takes the last n bytes out of the line, and off the terminal.
func (e *lineEditor) eraseLast(n int, shown []byte) []byte {
	from := len(e.line) - n
	for width := displayWidth(e.line[from:]); width > 0; width-- {
		shown = e.echo(shown, "\b \b")
	}
	e.line = e.line[:from]
	return shown
}

// caretNotation is how a control character is shown.
func caretNotation(key byte) string { return "^" + string(rune(key^0x40)) }

// echoText is how part of a line is shown.
func echoText(line []byte) (shown []byte) {
	for _, c := range line {
		if c < ' ' || c == del {
			shown = append(shown, caretNotation(c)...)
		} else {
			shown = append(shown, c)
		}
	}
	return shown
}

// displayWidth is how many columns part of a line takes.
func displayWidth(line []byte) (width int) {
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		if r < ' ' || r == del {
			width += len("^X")
		} else {
			width += runeWidths.RuneWidth(r)
		}
		line = line[size:]
	}
	return width
}
