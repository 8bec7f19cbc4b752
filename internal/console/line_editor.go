package console

import (
	"bytes"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"nomadctld/backends"
)

// lineEditor turns keys into lines, like the kernel's terminal driver in cooked mode. It is for programs that have
// no terminal. It does no I/O.
type lineEditor struct {
	erase, kill, eof, intr, quit, werase, lnext, reprint byte // 0: none
	noEcho                                               bool // the user's terminal has echo off
	detach                                               []byte

	line          []byte // the line being edited
	literalNext   bool   // the next key is inserted literally
	detachMatched int    // how many of the detach keys were just typed; they are not in the line yet
}

// editorEvent is an event that keys cause besides text.
type editorEvent int

const (
	eventNone editorEvent = iota
	eventEOF
	eventInterrupt
	eventDetach
)

// maxTypedLine limits the length of a line, as in Linux.
const maxTypedLine = 4095

// newLineEditor returns an editor with the control characters of the user's terminal, or the usual ones.
func newLineEditor(modes backends.TerminalModes, detach []byte) *lineEditor {
	key := func(opcode, usual byte) byte {
		if char, ok := modes.Char(opcode); ok {
			return char
		}
		return usual
	}
	return &lineEditor{
		erase:   key(backends.ModeErase, del),
		kill:    key(backends.ModeKill, ctrl('U')),
		eof:     key(backends.ModeEOF, ctrl('D')),
		intr:    key(backends.ModeIntr, CtrlC),
		quit:    key(backends.ModeQuit, ctrl('\\')),
		werase:  key(backends.ModeWerase, ctrl('W')),
		lnext:   key(backends.ModeLnext, ctrl('V')),
		reprint: key(backends.ModeReprint, ctrl('R')),
		noEcho:  modes.IsOff(backends.ModeEcho),
		detach:  detach,
	}
}

func ctrl(letter byte) byte { return letter & 0x1f }

const del = 0x7f

// feed processes a key. It returns the lines that the key completes, the text to echo, and an event.
func (e *lineEditor) feed(key byte) (lines, echo []byte, event editorEvent) {
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
	buffered := e.detach[:e.detachMatched]
	e.detachMatched = 0
	for _, before := range buffered {
		if lines, echo, event = e.handleKey(before, lines, echo); event != eventNone {
			return lines, echo, event
		}
	}
	if key == e.detach[0] {
		e.detachMatched = 1
		return lines, echo, eventNone
	}
	return e.handleKey(key, lines, echo)
}

// newline moves to the start of a line if the current one is not empty.
func (e *lineEditor) newline(echo []byte) []byte {
	if len(e.line) > 0 && !e.noEcho {
		echo = append(echo, "\r\n"...)
	}
	return echo
}

// handleKey processes one key, without regard to the detach keys.
func (e *lineEditor) handleKey(key byte, lines, echo []byte) ([]byte, []byte, editorEvent) {
	is := func(special byte) bool { return key == special && special != 0 }
	switch {
	case e.literalNext:
		e.literalNext = false
		echo = e.insert(key, echo)
	case key == '\r', key == '\n':
		lines = append(append(lines, e.line...), '\n')
		e.line = e.line[:0]
		echo = e.echo(echo, "\r\n")
	case is(e.intr), is(e.quit):
		return lines, e.echo(echo, caretNotation(key)+"\r\n"), eventInterrupt
	case is(e.eof):
		if len(e.line) == 0 {
			return lines, echo, eventEOF
		}
		lines = append(lines, e.line...)
		e.line = e.line[:0]
	case is(e.erase), key == del, key == '\b':
		echo = e.eraseLast(e.lastCharLen(), echo)
	case is(e.werase):
		n := len(bytes.TrimRight(e.line, " \t"))
		for n > 0 && e.line[n-1] != ' ' && e.line[n-1] != '\t' {
			n--
		}
		echo = e.eraseLast(len(e.line)-n, echo)
	case is(e.kill):
		echo = e.eraseLast(len(e.line), echo)
	case is(e.lnext):
		e.literalNext = true
		echo = e.echo(echo, "^\b")
	case is(e.reprint):
		echo = e.echo(echo, caretNotation(key)+"\r\n"+string(echoText(e.line)))
	case key == ctrl('Z'): // job control is not supported
		echo = append(echo, '\a')
	case key == ctrl('S'), key == ctrl('Q'): // flow control is not supported either
	default:
		echo = e.insert(key, echo)
	}
	return lines, echo, eventNone
}

// echo appends text to the output unless echo is off.
func (e *lineEditor) echo(output []byte, text string) []byte {
	if e.noEcho {
		return output
	}
	return append(output, text...)
}

// insert appends a key to the line.
func (e *lineEditor) insert(key byte, echo []byte) []byte {
	if len(e.line) == maxTypedLine {
		return append(echo, '\a')
	}
	e.line = append(e.line, key)
	return e.echo(echo, string(echoText([]byte{key})))
}

// lastCharLen returns the length in bytes of the line's last character, including its combining characters. Each
// byte that is not valid UTF-8 counts as a character.
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

// runeWidths measures characters as terminals outside East Asia display them, regardless of the gateway's locale.
var runeWidths = &runewidth.Condition{}

// eraseLast removes the last n bytes from the line and from the terminal.
func (e *lineEditor) eraseLast(n int, echo []byte) []byte {
	from := len(e.line) - n
	for width := displayWidth(e.line[from:]); width > 0; width-- {
		echo = e.echo(echo, "\b \b")
	}
	e.line = e.line[:from]
	return echo
}

// caretNotation returns the display form of a control character.
func caretNotation(key byte) string { return "^" + string(rune(key^0x40)) }

// echoText returns the display form of a part of a line.
func echoText(line []byte) (echo []byte) {
	for _, c := range line {
		if c < ' ' || c == del {
			echo = append(echo, caretNotation(c)...)
		} else {
			echo = append(echo, c)
		}
	}
	return echo
}

// displayWidth returns the columns that a part of a line occupies.
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
