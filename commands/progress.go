package commands

import (
	"fmt"
	"io"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// progressPrinter prints the progress of a command. On a terminal, each transient message overwrites the previous one.
type progressPrinter struct {
	out       io.Writer
	terminal  *router.Terminal
	transient string // the message on the current line if it is transient
}

func newProgressPrinter(req *router.Request) *progressPrinter {
	return &progressPrinter{out: req.StatusWriter(), terminal: req.Terminal}
}

// print prints a note. Its text may be untrusted.
func (p *progressPrinter) print(n ops.Note) error {
	text := escape.Text(n.Text)
	var err error
	switch {
	case n.Transient && text == p.transient:
	case p.terminal == nil:
		_, err = fmt.Fprintln(p.out, text)
	case n.Transient:
		if width, _ := p.terminal.Size(); width > 1 {
			text = runewidth.Truncate(text, width-1, "…")
		}
		_, err = io.WriteString(p.out, "\r"+text+"\x1b[K")
	default:
		_, err = fmt.Fprintf(p.out, "%s%s\n", p.erase(), text)
	}
	p.transient = ""
	if n.Transient {
		p.transient = text
	}
	return err
}

func (p *progressPrinter) printf(format string, args ...any) {
	p.print(ops.Note{Text: fmt.Sprintf(format, args...)})
}

func (p *progressPrinter) progress(format string, args ...any) {
	p.print(ops.Note{Text: fmt.Sprintf(format, args...), Transient: true})
}

// clear removes a transient message from the terminal.
func (p *progressPrinter) clear() {
	io.WriteString(p.out, p.erase())
	p.transient = ""
}

func (p *progressPrinter) erase() string {
	if p.terminal == nil || p.transient == "" {
		return ""
	}
	return "\r\x1b[K"
}
