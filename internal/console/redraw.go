package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"nomadctld/internal/escape"
)

// ShowFrame writes a block of text and a line for each error.
type ShowFrame func(block string, problems []string) error

// errQuit cancels Redraw when the user presses q.
var errQuit = errors.New("the user quit")

// Redraw calls draw at once and then at the interval, until it fails or ctx is done. draw calls its ShowFrame argument
// with each frame. On a terminal, a frame overwrites the previous one. Otherwise it goes to stdout and its errors to
// stderr. On a terminal, keys scroll the frame and q quits. Redraw returns nil after q and after Ctrl-C. The title and
// the errors may be untrusted text.
func (c *Console) Redraw(ctx context.Context, interval time.Duration, title string,
	draw func(context.Context, ShowFrame) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	view, first := (*frameView)(nil), true
	var keys <-chan scroll
	if c.Terminal.interpretsEscapes() {
		view = &frameView{}
		keys = c.readScrollKeys(ctx, cancel)
	}
	show := func(block string, problems []string) error {
		if view == nil {
			return c.appendFrame(block, problems, first)
		}
		for _, problem := range problems {
			block += c.Message("nomadctld: "+problem) + "\n"
		}
		view.set(escape.Text(title)+"  "+time.Now().Format(time.TimeOnly), block)
		return c.overwriteFrame(view)
	}
	for ; ; first = false {
		if err := draw(ctx, show); err != nil {
			return err
		}
		next := time.After(interval)
		for waiting := true; waiting; {
			select {
			case <-next:
				waiting = false
			case move := <-keys:
				_, height := c.Terminal.Size()
				view.move(move, height)
				if err := c.overwriteFrame(view); err != nil {
					return err
				}
			case <-ctx.Done():
				if c.Terminal != nil {
					io.WriteString(c.Stdout, "\n")
				}
				if cause := context.Cause(ctx); cause == errQuit || errors.Is(cause, ErrInterrupted) {
					return nil
				}
				return ctx.Err()
			}
		}
	}
}

// appendFrame writes a frame without a terminal.
func (c *Console) appendFrame(block string, problems []string, first bool) error {
	for _, problem := range problems {
		fmt.Fprintln(c.Stderr, c.Message("nomadctld: "+problem))
	}
	if !first {
		block = "\n" + block
	}
	_, err := io.WriteString(c.Stdout, block)
	return err
}

// overwriteFrame writes a frame over the previous one, cut to the size of the terminal.
func (c *Console) overwriteFrame(view *frameView) error {
	lines := view.visible(c.Terminal.Size())
	frame := "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\x1b[J"
	if !view.shown {
		frame = "\x1b[2J" + frame
		view.shown = true
	}
	_, err := io.WriteString(c.Stdout, frame)
	return err
}
