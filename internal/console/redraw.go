package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// ShowFrame writes a block of text and a line for each error.
type ShowFrame func(block string, problems []string) error

// Redraw calls draw at once and then at the interval, until it fails or ctx is done. draw passes a frame to show,
// which writes it: as one frame that overwrites the previous one on a terminal, otherwise to stdout and stderr. Redraw
// returns nil after Ctrl-C, the usual way to end it. The title and the errors may be untrusted text.
func (c *Console) Redraw(ctx context.Context, interval time.Duration, title string,
	draw func(context.Context, ShowFrame) error,
) error {
	for first := true; ; first = false {
		show := func(block string, problems []string) error {
			if c.Terminal == nil {
				return c.appendFrame(block, problems, first)
			}
			return c.overwriteFrame(escape.Text(title)+"  "+time.Now().Format(time.TimeOnly), block, problems, first)
		}
		if err := draw(ctx, show); err != nil {
			return err
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			if c.Terminal != nil {
				io.WriteString(c.Stdout, "\n")
			}
			if errors.Is(context.Cause(ctx), ErrInterrupted) {
				return nil
			}
			return ctx.Err()
		}
	}
}

// appendFrame writes a frame without a terminal.
func (c *Console) appendFrame(block string, problems []string, first bool) error {
	for _, problem := range problems {
		fmt.Fprintf(c.Stderr, "nomadctld: %s\n", escape.Text(problem))
	}
	if !first {
		block = "\n" + block
	}
	_, err := io.WriteString(c.Stdout, block)
	return err
}

// overwriteFrame writes a frame over the previous one, cut to the size of the terminal.
func (c *Console) overwriteFrame(header, block string, problems []string, first bool) error {
	width, height := c.Terminal.Size()
	cut := func(line string) string {
		if width > 0 {
			return runewidth.Truncate(line, width, "…")
		}
		return line
	}
	lines := append([]string{cut(header), ""}, strings.Split(strings.TrimSuffix(block, "\n"), "\n")...)
	for _, problem := range problems {
		lines = append(lines, cut("nomadctld: "+escape.Text(problem)))
	}
	if height > 2 && len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], cut(fmt.Sprintf("... %d more lines", more)))
	}
	frame := "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\x1b[J"
	if first {
		frame = "\x1b[2J" + frame
	}
	_, err := io.WriteString(c.Stdout, frame)
	return err
}
