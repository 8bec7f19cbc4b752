package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/internal/console"
	"nomadctld/internal/parse"
	"nomadctld/router"
)

// watchFlag is the flag --watch.
type watchFlag struct {
	seconds float64
	flag    *pflag.Flag
}

func (w *watchFlag) bind(flags *pflag.FlagSet) {
	flags.VarP((*secondsFlag)(&w.seconds), "watch", "w", "`SECONDS` refresh until q or Ctrl-C")
	w.flag = flags.Lookup("watch")
	w.flag.NoOptDefVal = "2"
}

// Follows implements router.Follower. With --watch the command runs until Ctrl-C.
func (w *watchFlag) Follows() bool { return w.flag != nil && w.flag.Changed }

// run draws once or, with --watch, every w.seconds until ctx is done. Errors are printed and the watch continues,
// except for usage errors.
func (w *watchFlag) run(ctx context.Context, req *router.Request, draw func(context.Context, io.Writer) error) error {
	if w.flag == nil || !w.flag.Changed {
		return draw(ctx, req.Console.Stdout)
	}
	if w.seconds < 1 || w.seconds > 3600 {
		return usageError(req, errWatchInterval)
	}
	interval := time.Duration(w.seconds * float64(time.Second))
	req.Access.AllowCached(interval * 9 / 10)
	// A frame stays in memory until the client has read it, so the number of frames of a user is limited.
	drawFrame := func(ctx context.Context, show console.ShowFrame) error {
		var block bytes.Buffer
		release, err := req.Access.AcquireResultSlot(ctx)
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
		return show(block.String(), router.ErrorLines(err))
	}
	title := fmt.Sprintf("every %gs: %s", w.seconds, strings.Join(req.Words, " "))
	return req.Console.Redraw(ctx, interval, title, drawFrame)
}

var errWatchInterval = errors.New("--watch takes 1 to 3600 seconds (write 5, 5s or 1m)")

// secondsFlag is the value of the flag --watch: seconds or a duration.
type secondsFlag float64

func (s *secondsFlag) Set(text string) error {
	parsed, ok := parse.Seconds(text)
	if d, isDuration := parse.Duration(text); isDuration {
		parsed, ok = d.Seconds(), true
	}
	if !ok {
		return errWatchInterval
	}
	*s = secondsFlag(parsed)
	return nil
}

func (s *secondsFlag) Type() string   { return "float64" }
func (s *secondsFlag) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }
