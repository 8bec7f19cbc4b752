package commands

import (
	"fmt"
	"io"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// report tells how something goes. What is passing stands on one line that is written anew on a terminal, and
// on lines of its own elsewhere.
type report struct {
	out      io.Writer
	terminal *router.Terminal
	passing  string // what was shown last, if it was passing
}

func newReport(req *router.Request) *report {
	return &report{out: req.StatusWriter(), terminal: req.Terminal}
}

// note shows a note; its text is foreign.
func (r *report) note(n ops.Note) error {
	text := escape.Text(n.Text)
	var err error
	switch {
	case n.Passing && text == r.passing:
	case r.terminal == nil:
		_, err = fmt.Fprintln(r.out, text)
	case n.Passing:
		if width, _ := r.terminal.Size(); width > 1 {
			text = runewidth.Truncate(text, width-1, "…")
		}
		_, err = io.WriteString(r.out, "\r"+text+"\x1b[K")
	default:
		_, err = fmt.Fprintf(r.out, "%s%s\n", r.erase(), text)
	}
	r.passing = ""
	if n.Passing {
		r.passing = text
	}
	return err
}

func (r *report) say(format string, args ...any) {
	r.note(ops.Note{Text: fmt.Sprintf(format, args...)})
}

func (r *report) progress(format string, args ...any) {
	r.note(ops.Note{Text: fmt.Sprintf(format, args...), Passing: true})
}

// end takes the passing line of a terminal away.
func (r *report) end() {
	io.WriteString(r.out, r.erase())
	r.passing = ""
}

func (r *report) erase() string {
	if r.terminal == nil || r.passing == "" {
		return ""
	}
	return "\r\x1b[K"
}
