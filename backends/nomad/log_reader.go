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
	// resumeTimeout is how long an interrupted log is retried. It covers the restart of an agent.
	resumeTimeout = time.Minute

	maxResumePause = time.Second     // shorter than exitGrace in internal/tasklog
	minHealthyRead = 5 * time.Second // a read that lasts longer counts as progress
)

// logReader reads stdout or stderr of a task. It resumes an interrupted log at the exact position where it was
// interrupted: each attempt requests a little more of the log than is missing and skips the data that has been emitted.
type logReader struct {
	c          *Client
	client     *api.Client
	task       backends.TaskRef
	output     string // stdout or stderr
	follow     bool
	emit       func([]byte) error
	onGap      func() error           // called where Nomad has, or may have, deleted data before it was read
	onCaughtUp func() error           // called when the data that existed at the start has been emitted
	onStart    func(logSection) error // called before the first data; may be nil
	onIdle     func() error           // called when the task writes nothing; may be nil

	section      logSection
	caughtUp     bool
	next         logPos // position of the next data
	lookback     int64  // for openLog, to get the next data
	failingSince time.Time
	callbackErr  error // error of a callback
}

// find finds the last lines of the log, or all if lines is negative.
func (r *logReader) find(ctx context.Context, lines int) error {
	return r.retry(ctx, false, func() (err error) {
		r.section, err = r.c.findSection(ctx, r.task, r.output, lines)
		return err
	})
}

// read emits the section that was found. With follow, it then emits new data.
func (r *logReader) read(ctx context.Context) error {
	if r.section.empty && !r.follow {
		return nil
	}
	if r.onStart != nil {
		if err := r.onStart(r.section); err != nil {
			return err
		}
	}
	return r.readSection(ctx)
}

// readSection emits the section. With follow, it then emits new data.
func (r *logReader) readSection(ctx context.Context) error {
	r.next, r.lookback = r.section.start, max(frameSize, r.section.lookback)
	if r.next.file < 0 {
		r.lookback = -1
	}
	if err := r.reportCaughtUp(); err != nil {
		return err
	}
	return r.retry(ctx, true, func() error { return r.readOnce(ctx) })
}

// retry calls read until it succeeds, fails permanently or has failed for resumeTimeout. opened reports whether the log
// has been found; before that, retry gives up earlier. With follow, it waits without limit for a task that has not
// started.
func (r *logReader) retry(ctx context.Context, opened bool, read func() error) error {
	r.failingSince = time.Time{}
	for attempt := 0; ; attempt++ {
		before, startTime := r.next, time.Now()
		err := read()
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
		reason, mayRetry := logError(err)
		worked := before.before(r.next) || time.Since(startTime) > minHealthyRead
		if worked || r.failingSince.IsZero() {
			r.failingSince, attempt = time.Now(), 0
		}
		pause := min(r.c.retryBackoff<<min(attempt, 8), maxResumePause)
		notStarted := r.follow && !opened && errors.Is(reason, backends.ErrNoLog) &&
			(errors.Is(reason, errTaskNotStarted) || r.taskPending())
		switch {
		case notStarted:
			pause = r.c.startPollInterval
		case !mayRetry, time.Since(r.failingSince) > resumeTimeout:
			return reason
		case !opened && (errors.Is(reason, backends.ErrNoLog) || attempt+1 >= maxReadAttempts):
			return reason
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// taskPending reports whether the task was pending when it was listed.
func (r *logReader) taskPending() bool {
	for _, task := range r.task.Allocation.Tasks {
		if task.Name == r.task.Task {
			return task.State == "pending"
		}
	}
	return r.task.Allocation.Status == "pending"
}

// errLookFurtherBack makes retry open the log with a larger lookback.
var errLookFurtherBack = errors.New("larger lookback needed")

// readOnce emits the log starting at r.next. Without follow, it returns nil at the end of the section. Otherwise it
// returns the error that interrupted it.
func (r *logReader) readOnce(ctx context.Context) error {
	f, err := r.c.openLog(ctx, r.client, r.task, r.output, r.follow, r.lookback)
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
		data, start, err := f.next()
		if err != nil {
			if errors.Is(err, io.EOF) && !r.follow && !r.next.before(until) {
				return nil
			}
			return fmt.Errorf("log: %w", err)
		}
		if f.truncated {
			r.next, f.truncated = logPos{start.file, 0}, false
		}
		if first && r.lookback >= 0 && r.next.before(start) && r.lookback < maxLogSize {
			r.lookback *= 8
			return errLookFurtherBack
		}
		if r.isGap(start, first) {
			if r.callbackErr = r.onGap(); r.callbackErr != nil {
				return r.callbackErr
			}
		}
		first = false
		end := f.pos
		if !r.follow {
			switch {
			case start.file > until.file:
				return nil
			case start.file == until.file && end.offset > until.offset:
				data = data[:max(0, until.offset-start.offset)]
				end.offset = max(start.offset, until.offset)
			}
		}
		if start.file == r.next.file && start.offset < r.next.offset {
			data = data[min(int64(len(data)), r.next.offset-start.offset):]
		} else if start.before(r.next) {
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
			if err := r.reportCaughtUp(); err != nil {
				return err
			}
		}
		if !r.follow && !r.next.before(until) {
			return nil
		}
	}
}

// isGap reports whether data is, or may be, missing between r.next and start. Within one request, a new file follows
// the end of the previous one. For the first frame of a request, the end of the previous file is not known.
func (r *logReader) isGap(start logPos, first bool) bool {
	switch {
	case r.next.file < 0: // reading from the start of the log
		return false
	case start.file == r.next.file:
		return start.offset > r.next.offset
	case start.file == r.next.file+1:
		return first || start.offset > 0
	}
	return start.file > r.next.file
}

// reportCaughtUp calls onCaughtUp once the section has been emitted.
func (r *logReader) reportCaughtUp() error {
	if !r.caughtUp && !r.next.before(r.section.end) {
		r.caughtUp = true
		r.callbackErr = r.onCaughtUp()
	}
	return r.callbackErr
}

// skipLines removes lines before the first selected one from data.
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
