// Package console is the user's side of a session: the streams, the terminal, the signals and the keyboard. It prints
// prompts, progress and frames that overwrite each other, and edits lines. It must not know requests or commands.
package console

import (
	"io"
	"strings"

	"nomadctld/internal/escape"
	"nomadctld/internal/render"
)

// Console connects one command to its client.
type Console struct {
	Stdin      io.Reader
	Stdout     io.Writer  // text; if the client has a terminal, \n becomes \r\n
	Stderr     io.Writer  // likewise
	ByteOutput ByteOutput // the same streams without that translation
	Terminal   *Terminal  // nil: the client did not request one
	Signals    *Signals   // from the client; they interrupt the command until it claims them
	NoColor    bool       // no colors on a terminal
}

// ByteOutput holds the output streams of a session without newline translation.
type ByteOutput struct{ Stdout, Stderr io.Writer }

// StatusWriter is the stream for prompts and progress: stderr, or stdout on a terminal. ssh does not preserve the
// order between the two streams, and on a terminal a progress line must be erased exactly where it was written.
func (c *Console) StatusWriter() io.Writer {
	if c.Terminal != nil {
		return c.Stdout
	}
	return c.Stderr
}

// Message escapes untrusted text and, on a terminal, wraps it at words.
func (c *Console) Message(text string) string {
	return strings.Join(render.Wrap(escape.Text(text), c.Style().Width), "\n")
}

// Style returns the style of the output: colored and as wide as the client's terminal, or plain and not truncated if
// it has none.
func (c *Console) Style() render.Style {
	if c.Terminal == nil {
		return render.Style{}
	}
	width, _ := c.Terminal.Size()
	return render.Style{Width: width, Color: !c.NoColor && c.Terminal.interpretsEscapes()}
}
