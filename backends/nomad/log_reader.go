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
	// resumeTimeout is how long an interrupted log is asked for again: for an agent to be restarted.
	resumeTimeout = time.Minute

	maxResumePause    = time.Second     // a task's end that is told meanwhile does not cut the log short: followers wait longer
	minHealthyRead    = 5 * time.Second // one that fails after that has worked in between
	startPollInterval = time.Second     // between questions for a log that has not begun
)

// logReader reads one of the two logs of a task.
type logReader struct {
	c          *Client
	client     *api.Client
	task       backends.TaskRef
	kind       string
	follow     bool
	emit       func([]byte) error
	onGap      func() error // called where Nomad has deleted, or may have, what was not read
	onCaughtUp func() error // called once all that there was when the section was looked for has been passed on

	section      logSection
	caughtUp     bool
	next         logPos // what comes next
	lookback     int64  // how much to ask for, to get it
	failingSince time.Time
	callbackErr  error // of each, gone, live, idle or begins

	onStart func(logSection) error // called before the first piece; may be nil
	onIdle  func() error           // called when the task writes nothing; may be nil
}

// read passes on the last lines of the log, or all if lines is negative, and what follows if that is wanted.
func (r *logReader) read(ctx context.Context, lines int) error {
	err := r.retry(ctx, false, func() (err error) {
		r.section, err = r.c.findSection(ctx, r.task, r.kind, lines)
		return err
	})
	if err != nil || r.section.empty && !r.follow {
		return err
	}
	if r.onStart != nil {
		if err := r.onStart(r.section); err != nil {
			return err
		}
	}
	return r.readSection(ctx)
}

// readSection passes on the section, and what follows if that is wanted.
func (r *logReader) readSection(ctx context.Context) error {
	r.next, r.lookback = r.section.start, max(frameSize, r.section.lookback)
	if r.next.file < 0 {
		r.lookback = -1
	}
	if err := r.markProgress(); err != nil {
		return err
	}
	return r.retry(ctx, true, func() error { return r.readOnce(ctx) })
}

// retry calls ask until it succeeds, or for long enough when what failed may pass.
func (r *logReader) retry(ctx context.Context, began bool, ask func() error) error {
	r.failingSince = time.Time{}
	for attempt := 0; ; attempt++ {
		before, begin := r.next, time.Now()
		err := ask()
		switch {
		case err == nil || r.callbackErr != nil:
			return r.callbackErr
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errLookFurtherBack):
			continue
		case errors.Is(err, backends.ErrLogMismatch):
			return err
		}
		reason, later := logError(err)
		if before.before(r.next) || time.Since(begin) > minHealthyRead || r.failingSince.IsZero() { // it has worked in between
			r.failingSince, attempt = time.Now(), 0
		}
		pause := min(retryBackoff<<min(attempt, 8), maxResumePause)
		waits := r.follow && !began && errors.Is(reason, backends.ErrNoLog) && (errors.Is(reason, errTaskNotStarted) || r.taskPending())
		switch {
		case waits:
			pause = startPollInterval
		case !later, time.Since(r.failingSince) > resumeTimeout:
			return reason
		case !began && (errors.Is(reason, backends.ErrNoLog) || attempt+1 >= maxReadAttempts):
			return reason
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// taskPending reports whether the task had not begun when it was listed.
func (r *logReader) taskPending() bool {
	for _, task := range r.task.Allocation.Tasks {
		if task.Name == r.task.Task {
			return task.State == "pending"
		}
	}
	return r.task.Allocation.Status == "pending"
}

// errLookFurtherBack is a log that has to be asked for from further back.
var errLookFurtherBack = errors.New("further back")

// readOnce passes on the log from next on. It returns nil at the end of a log that is not followed, and otherwise what
// interrupted it.
func (r *logReader) readOnce(ctx context.Context) error {
	f, err := r.c.openLog(ctx, r.client, r.task, r.kind, r.follow, r.lookback)
	if err != nil {
		return err
	}
	defer f.close()
	f.onIdle = func() error {
		if r.onIdle != nil {
			r.callbackErr = r.onIdle()
		}
		return r.callbackErr
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
			r.next, f.truncated = logPos{begin.file, 0}, false
		}
		if first && r.lookback >= 0 && r.next.before(begin) && r.lookback < maxLogSize {
			r.lookback *= 8
			return errLookFurtherBack
		}
		if r.isGap(begin, first) {
			if r.callbackErr = r.onGap(); r.callbackErr != nil {
				return r.callbackErr
			}
		}
		first = false
		end := f.pos
		if !r.follow {
			switch {
			case begin.file > until.file:
				return nil
			case begin.file == until.file && end.offset > until.offset:
				data = data[:max(0, until.offset-begin.offset)]
				end.offset = max(begin.offset, until.offset)
			}
		}
		if begin.file == r.next.file && begin.offset < r.next.offset {
			data = data[min(int64(len(data)), r.next.offset-begin.offset):]
		} else if begin.before(r.next) {
			continue
		}
		if r.next.before(end) {
			data = r.skipLines(data)
			r.next = end
			if len(data) > 0 {
				if err := r.emit(data); err != nil {
					r.callbackErr = err
					return err
				}
			}
			r.lookback = frameSize
			if err := r.markProgress(); err != nil {
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
func (r *logReader) isGap(begin logPos, first bool) bool {
	switch {
	case r.next.file < 0: // wherever the log begins
		return false
	case begin.file == r.next.file:
		return begin.offset > r.next.offset
	case begin.file == r.next.file+1:
		return first || begin.offset > 0
	}
	return begin.file > r.next.file
}

// markProgress notes that the log has been passed on up to next.
func (r *logReader) markProgress() error {
	if !r.caughtUp && !r.next.before(r.section.end) {
		r.caughtUp = true
		r.callbackErr = r.onCaughtUp()
	}
	return r.callbackErr
}

// skipLines leaves out the lines that come before those that are wanted.
func (r *logReader) skipLines(data []byte) []byte {
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
