package commands

import (
	"fmt"
	"io"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// progressPrinter tells how something goes. What is passing stands on one line that is written anew on a terminal, and
// on lines of its own elsewhere.
type progressPrinter struct {
	out       io.Writer
	terminal  *router.Terminal
	transient string // what was shown last, if it was passing
}

func newProgressPrinter(req *router.Request) *progressPrinter {
	return &progressPrinter{out: req.StatusWriter(), terminal: req.Terminal}
}

// print shows a note; its text is foreign.
func (r *progressPrinter) print(n ops.Note) error {
	text := escape.Text(n.Text)
	var err error
	switch {
	case n.Transient && text == r.transient:
	case r.terminal == nil:
		_, err = fmt.Fprintln(r.out, text)
	case n.Transient:
		if width, _ := r.terminal.Size(); width > 1 {
			text = runewidth.Truncate(text, width-1, "…")
		}
		_, err = io.WriteString(r.out, "\r"+text+"\x1b[K")
	default:
		_, err = fmt.Fprintf(r.out, "%s%s\n", r.erase(), text)
	}
	r.transient = ""
	if n.Transient {
		r.transient = text
	}
	return err
}

func (r *progressPrinter) printf(format string, args ...any) {
	r.print(ops.Note{Text: fmt.Sprintf(format, args...)})
}

func (r *progressPrinter) progress(format string, args ...any) {
	r.print(ops.Note{Text: fmt.Sprintf(format, args...), Transient: true})
}

// clear takes the passing line of a terminal away.
func (r *progressPrinter) clear() {
	io.WriteString(r.out, r.erase())
	r.transient = ""
}

func (r *progressPrinter) erase() string {
	if r.terminal == nil || r.transient == "" {
		return ""
	}
	return "\r\x1b[K"
}
