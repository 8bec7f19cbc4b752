package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"
)

// frameView is the part of the latest frame that is visible on the terminal.
type frameView struct {
	title  string
	body   []string
	offset int  // the first visible line of body
	shown  bool // a frame has been written
}

// frameHead is the number of lines above the body: the title and a blank line.
const frameHead = 2

// set replaces the frame. The offset stays.
func (v *frameView) set(title, block string) {
	v.title, v.body = title, strings.Split(strings.TrimSuffix(block, "\n"), "\n")
}

// rows returns the number of lines of the body that a terminal shows, and whether the last line shows the position.
func (v *frameView) rows(height int) (rows int, position bool) {
	if height <= frameHead || frameHead+len(v.body) <= height {
		return len(v.body), false
	}
	return max(height-frameHead-1, 1), true
}

// move scrolls.
func (v *frameView) move(by scroll, height int) {
	rows, _ := v.rows(height)
	switch by {
	case scrollUp:
		v.offset--
	case scrollDown:
		v.offset++
	case scrollPageUp:
		v.offset -= rows
	case scrollPageDown:
		v.offset += rows
	case scrollTop:
		v.offset = 0
	case scrollBottom:
		v.offset = len(v.body)
	}
	v.clamp(rows)
}

func (v *frameView) clamp(rows int) { v.offset = max(min(v.offset, len(v.body)-rows), 0) }

// visible returns the lines that a terminal of this size shows.
func (v *frameView) visible(width, height int) []string {
	cut := func(line string) string { return cutColored(line, width) }
	rows, position := v.rows(height)
	v.clamp(rows)
	lines := []string{cut(v.title), ""}
	for _, line := range v.body[v.offset : v.offset+rows] {
		lines = append(lines, cut(line))
	}
	if position {
		lines = append(lines, cut(fmt.Sprintf("lines %d-%d of %d; arrow keys scroll, q quits",
			v.offset+1, v.offset+rows, len(v.body))))
	}
	return lines
}

// cutColored cuts a line to a width; 0 is unlimited. Escape sequences for colors have no width.
func cutColored(line string, width int) string {
	var plain strings.Builder
	for rest := line; rest != ""; {
		n := sequenceLength(rest)
		if n == 0 {
			n = 1
			plain.WriteByte(rest[0])
		}
		rest = rest[n:]
	}
	if width == 0 || runewidth.StringWidth(plain.String()) <= width {
		return line
	}
	left := len(runewidth.Truncate(plain.String(), width-1, ""))
	var b strings.Builder
	for rest := line; rest != ""; {
		n := sequenceLength(rest)
		if n == 0 {
			if left == 0 {
				break
			}
			n, left = 1, left-1
		}
		b.WriteString(rest[:n])
		rest = rest[n:]
	}
	b.WriteString("…")
	if plain.Len() < len(line) {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// sequenceLength returns the length of the escape sequence for a color at the start of s, or 0.
func sequenceLength(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	return strings.IndexByte(s, 'm') + 1
}

// scroll is a movement in a frame.
type scroll int

const (
	scrollUp scroll = iota
	scrollDown
	scrollPageUp
	scrollPageDown
	scrollTop
	scrollBottom
)

// scrollKeys are the keys of less and top, and the escape sequences of the cursor keys.
var scrollKeys = map[string]scroll{
	"k": scrollUp, "\x1b[A": scrollUp, "\x1bOA": scrollUp,
	"j": scrollDown, "\r": scrollDown, "\n": scrollDown, "\x1b[B": scrollDown, "\x1bOB": scrollDown,
	"b": scrollPageUp, "\x02": scrollPageUp, "\x1b[5~": scrollPageUp,
	" ": scrollPageDown, "f": scrollPageDown, "\x06": scrollPageDown, "\x1b[6~": scrollPageDown,
	"g": scrollTop, "\x1b[H": scrollTop, "\x1b[1~": scrollTop, "\x1bOH": scrollTop,
	"G": scrollBottom, "\x1b[F": scrollBottom, "\x1b[4~": scrollBottom, "\x1bOF": scrollBottom,
}

// readScrollKeys reads the keyboard until the session or the command ends. q cancels with errQuit and Ctrl-C with
// ErrInterrupted.
func (c *Console) readScrollKeys(ctx context.Context, cancel context.CancelCauseFunc) <-chan scroll {
	if c.Stdin == nil {
		return nil
	}
	keys := make(chan scroll)
	go func() {
		buf := make([]byte, 256)
		sequence := "" // an incomplete escape sequence
		for {
			n, err := c.Stdin.Read(buf)
			for _, b := range buf[:n] {
				sequence += string(rune(b))
				switch {
				case b == CtrlC:
					cancel(ErrInterrupted)
				case sequence == "q" || sequence == "Q":
					cancel(errQuit)
				}
				if move, ok := scrollKeys[sequence]; ok {
					select {
					case keys <- move:
					case <-ctx.Done():
					}
				} else if incompleteKey(sequence) {
					continue
				}
				sequence = ""
			}
			if err != nil || ctx.Err() != nil {
				return
			}
		}
	}()
	return keys
}

// incompleteKey reports whether a key's escape sequence starts with s.
func incompleteKey(s string) bool {
	const maxSequence = 8
	switch {
	case s == "\x1b", s == "\x1bO", s == "\x1b[":
		return true
	case !strings.HasPrefix(s, "\x1b["), len(s) > maxSequence:
		return false
	}
	last := s[len(s)-1]
	return last < '@' || last > '~' // the final byte of a control sequence
}
