package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/pflag"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

// watchFlag is the flag --watch.
type watchFlag struct {
	seconds float64
	flag    *pflag.Flag
}

func (w *watchFlag) bind(flags *pflag.FlagSet) {
	flags.VarP((*secondsFlag)(&w.seconds), "watch", "w", "`SECONDS` refresh until Ctrl-C")
	w.flag = flags.Lookup("watch")
	w.flag.NoOptDefVal = "2"
}

// Follows implements router.Follower. With --watch the command runs until Ctrl-C.
func (w *watchFlag) Follows() bool { return w.flag != nil && w.flag.Changed }

// run draws once or, with --watch, every w.seconds until ctx is done. On a terminal each frame overwrites the
// previous one. Errors are printed and the watch continues, except for usage errors.
func (w *watchFlag) run(ctx context.Context, req *router.Request, draw func(context.Context, io.Writer) error) error {
	if w.flag == nil || !w.flag.Changed {
		return draw(ctx, req.Stdout)
	}
	if w.seconds < 1 || w.seconds > 3600 {
		return usageError(req, errors.New("--watch takes 1 to 3600 seconds"))
	}
	interval := time.Duration(w.seconds * float64(time.Second))
	req.AllowCached(interval * 9 / 10)
	for first := true; ; first = false {
		if err := w.drawFrame(ctx, req, draw, first); err != nil {
			return err
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			if req.Terminal != nil {
				io.WriteString(req.Stdout, "\n")
			}
			if errors.Is(context.Cause(ctx), router.ErrInterrupted) {
				return nil // Ctrl-C is the usual way to end it
			}
			return ctx.Err()
		}
	}
}

// drawFrame draws and writes one frame. A frame stays in memory until the client has read it, so the number of frames
// of a user is limited.
func (w *watchFlag) drawFrame(
	ctx context.Context, req *router.Request, draw func(context.Context, io.Writer) error, first bool,
) error {
	var block bytes.Buffer
	release, err := req.AcquireResultSlot(ctx)
	if err == nil {
		defer release()
		err = draw(ctx, &block)
	}
	switch {
	case router.ExitCode(err) == 2:
		return err
	case ctx.Err() != nil:
		return nil
	}
	return w.writeFrame(req, block.String(), router.ErrorLines(err), first)
}

// writeFrame writes a drawn block and the errors: as one frame on a terminal, otherwise to stdout and stderr.
func (w *watchFlag) writeFrame(req *router.Request, block string, problems []string, first bool) error {
	if req.Terminal == nil {
		for _, problem := range problems {
			fmt.Fprintf(req.Stderr, "nomadctld: %s\n", escape.Text(problem))
		}
		if !first {
			block = "\n" + block
		}
		_, err := io.WriteString(req.Stdout, block)
		return err
	}
	width, height := req.Terminal.Size()
	cut := func(line string) string {
		if width > 0 {
			return runewidth.Truncate(line, width, "…")
		}
		return line
	}
	title := fmt.Sprintf("every %gs: %s  %s", w.seconds, escape.Text(strings.Join(req.Words, " ")),
		time.Now().Format(time.TimeOnly))
	lines := append([]string{cut(title), ""}, strings.Split(strings.TrimSuffix(block, "\n"), "\n")...)
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
	_, err := io.WriteString(req.Stdout, frame)
	return err
}
