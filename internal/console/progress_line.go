package console

import (
	"fmt"
	"io"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Statusf prints a message to the StatusWriter. The text may be untrusted.
func (c *Console) Statusf(format string, args ...any) { c.NewProgressLine().Printf(format, args...) }

// ProgressLine prints the progress of a command. On a terminal, each transient message overwrites the previous one.
type ProgressLine struct {
	console   *Console
	out       io.Writer
	terminal  *Terminal // nil: messages do not overwrite each other
	transient string    // the message on the current line if it is transient
}

// NewProgressLine returns a printer of progress.
func (c *Console) NewProgressLine() *ProgressLine {
	line := &ProgressLine{console: c, out: c.StatusWriter()}
	if c.Terminal.interpretsEscapes() {
		line.terminal = c.Terminal
	}
	return line
}

// Print prints a message, which may be untrusted. On a terminal, the next message overwrites a transient one.
func (p *ProgressLine) Print(text string, transient bool) error {
	message := p.console.Message(text)
	text = escape.Text(text)
	var err error
	switch {
	case transient && text == p.transient:
	case p.terminal == nil:
		_, err = fmt.Fprintln(p.out, message)
	case transient:
		if width, _ := p.terminal.Size(); width > 1 {
			text = runewidth.Truncate(text, width-1, "…")
		}
		_, err = io.WriteString(p.out, "\r"+text+"\x1b[K")
	default:
		_, err = fmt.Fprintf(p.out, "%s%s\n", p.erase(), message)
	}
	p.transient = ""
	if transient {
		p.transient = text
	}
	return err
}

// Printf prints a message that stays.
func (p *ProgressLine) Printf(format string, args ...any) {
	p.Print(fmt.Sprintf(format, args...), false)
}

// Transientf prints a message that the next one overwrites on a terminal.
func (p *ProgressLine) Transientf(format string, args ...any) {
	p.Print(fmt.Sprintf(format, args...), true)
}

// Clear removes a transient message from the terminal.
func (p *ProgressLine) Clear() {
	io.WriteString(p.out, p.erase())
	p.transient = ""
}

func (p *ProgressLine) erase() string {
	if p.terminal == nil || p.transient == "" {
		return ""
	}
	return "\r\x1b[K"
}
