package nomad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

const (
	// patience is how long an interrupted log is asked for again: for an agent to be restarted.
	patience = time.Minute

	mostPause = time.Second     // a task's end that is told meanwhile does not cut the log short: followers wait longer
	longTry   = 5 * time.Second // one that fails after that has worked in between
	notYet    = time.Second     // between questions for a log that has not begun
)

// reader reads one of the two logs of a task.
type reader struct {
	c      *Client
	client *api.Client
	in     backends.TaskRef
	kind   string
	follow bool
	each   func([]byte) error
	gone   func() error // called where Nomad has deleted, or may have, what was not read
	live   func() error // called once all that there was when the section was looked for has been passed on

	section section
	isLive  bool
	next    place // what comes next
	back    int64 // how much to ask for, to get it
	lost    time.Time
	failed  error // of each, gone, live, idle or begins

	begins func(section) error // called before the first piece; may be nil
	idle   func() error        // called when the task writes nothing; may be nil
}

// read passes on the last lines of the log, or all if lines is negative, and what follows if that is wanted.
func (r *reader) read(ctx context.Context, lines int) error {
	err := r.again(ctx, false, func() (err error) {
		r.section, err = r.c.section(ctx, r.in, r.kind, lines)
		return err
	})
	if err != nil || r.section.empty && !r.follow {
		return err
	}
	if r.begins != nil {
		if err := r.begins(r.section); err != nil {
			return err
		}
	}
	return r.readSection(ctx)
}

// readSection passes on the section, and what follows if that is wanted.
func (r *reader) readSection(ctx context.Context) error {
	r.next, r.back = r.section.begin, max(frameSize, r.section.back)
	if r.next.file < 0 {
		r.back = -1
	}
	if err := r.passed(); err != nil {
		return err
	}
	return r.again(ctx, true, func() error { return r.pass(ctx) })
}

// again calls ask until it succeeds, or for long enough when what failed may pass.
func (r *reader) again(ctx context.Context, began bool, ask func() error) error {
	r.lost = time.Time{}
	for attempt := 0; ; attempt++ {
		before, begin := r.next, time.Now()
		err := ask()
		switch {
		case err == nil || r.failed != nil:
			return r.failed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errFurther):
			continue
		case errors.Is(err, backends.ErrLogMismatch):
			return err
		}
		reason, later := logRefusal(err)
		if before.before(r.next) || time.Since(begin) > longTry || r.lost.IsZero() { // it has worked in between
			r.lost, attempt = time.Now(), 0
		}
		pause := min(backoff<<min(attempt, 8), mostPause)
		waits := r.follow && !began && errors.Is(reason, backends.ErrNoLog) && (errors.Is(reason, errNotStarted) || r.starting())
		switch {
		case waits:
			pause = notYet
		case !later, time.Since(r.lost) > patience:
			return reason
		case !began && (errors.Is(reason, backends.ErrNoLog) || attempt+1 >= attempts):
			return reason
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// starting reports whether the task had not begun when it was listed.
func (r *reader) starting() bool {
	for _, task := range r.in.Allocation.Tasks {
		if task.Name == r.in.Task {
			return task.State == "pending"
		}
	}
	return r.in.Allocation.Status == "pending"
}

// errFurther is a log that has to be asked for from further back.
var errFurther = errors.New("further back")

// pass passes on the log from next on. It returns nil at the end of a log that is not followed, and otherwise what
// interrupted it.
func (r *reader) pass(ctx context.Context) error {
	f, err := r.c.open(ctx, r.client, r.in, r.kind, r.follow, r.back)
	if err != nil {
		return err
	}
	defer f.close()
	f.idle = func() error {
		if r.idle != nil {
			r.failed = r.idle()
		}
		return r.failed
	}
	until := r.section.end
	first := true
	for {
		data, begin, err := f.next()
		if err != nil {
			if errors.Is(err, io.EOF) && !r.follow && !r.next.before(until) {
				return nil
			}
			return fmt.Errorf("log: %w", err)
		}
		if f.truncated {
			r.next, f.truncated = place{begin.file, 0}, false
		}
		if first && r.back >= 0 && r.next.before(begin) && r.back < wholeLog {
			r.back *= 8
			return errFurther
		}
		if r.isGap(begin, first) {
			if r.failed = r.gone(); r.failed != nil {
				return r.failed
			}
		}
		first = false
		end := f.end
		if !r.follow {
			switch {
			case begin.file > until.file:
				return nil
			case begin.file == until.file && end.at > until.at:
				data = data[:max(0, until.at-begin.at)]
				end.at = max(begin.at, until.at)
			}
		}
		if begin.file == r.next.file && begin.at < r.next.at {
			data = data[min(int64(len(data)), r.next.at-begin.at):]
		} else if begin.before(r.next) {
			continue
		}
		if r.next.before(end) {
			data = r.skipped(data)
			r.next = end
			if len(data) > 0 {
				if err := r.each(data); err != nil {
					r.failed = err
					return err
				}
			}
			r.back = frameSize
			if err := r.passed(); err != nil {
				return err
			}
		}
		if !r.follow && !r.next.before(until) {
			return nil
		}
	}
}

// isGap reports whether something is missing, or may be, between what was passed on and what begins there. In a stream one
// file follows another where that ends; after an interruption that is not known.
func (r *reader) isGap(begin place, first bool) bool {
	switch {
	case r.next.file < 0: // wherever the log begins
		return false
	case begin.file == r.next.file:
		return begin.at > r.next.at
	case begin.file == r.next.file+1:
		return first || begin.at > 0
	}
	return begin.file > r.next.file
}

// passed notes that the log has been passed on up to next.
func (r *reader) passed() error {
	if !r.isLive && !r.next.before(r.section.end) {
		r.isLive = true
		r.failed = r.live()
	}
	return r.failed
}

// skipped leaves out the lines that come before those that are wanted.
func (r *reader) skipped(data []byte) []byte {
	for r.section.skip > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return nil
		}
		data = data[i+1:]
		r.section.skip--
	}
	return data
}
