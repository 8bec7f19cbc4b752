// Package linequeue writes lines to a stream, such as a pipe, whose reader may stall or exit. A caller waits for a
// bounded time, and unread lines use a bounded amount of memory. Files do not need it: a write to a file always
// returns, and a failed one can be undone (see package audit).
package linequeue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// Defaults of a Queue.
const (
	defaultTimeout  = 2 * time.Second
	defaultMaxBytes = 4 << 20
)

// ErrStalled is returned if the reader of the stream stopped reading.
var ErrStalled = errors.New("the reader of the stream stopped reading")

// Queue writes lines to a stream in order. Its methods are safe for concurrent use. The zero value of an exported
// field means its default.
type Queue struct {
	Timeout  time.Duration // how long Commit and Deliver wait for a reader that was not stalled before (2s)
	MaxBytes int           // bytes that may be queued (4 MiB)

	// DropReport returns a line that reports how many lines were dropped. It is written before the next line that is
	// not dropped. nil: the queue does not report them.
	DropReport func(n int) []byte

	out io.Writer

	mu          sync.Mutex // guards all fields below
	pending     []*line
	size        int           // of pending, in bytes
	writing     bool          // a goroutine is writing
	idle        chan struct{} // closed when writeLoop returns
	stalled     bool          // a line has waited longer than Timeout, and none has been written since
	partialLine bool          // the last write failed after a part of its line
	dropped     int           // lines that were dropped and not yet reported
}

type line struct {
	text    []byte
	done    chan struct{} // closed when err is final
	err     error
	started bool // its write has started, so it cannot be withdrawn

	onFail   func(error) // receives the error of the write; nil: the caller that waits for done gets it
	reported int         // for a drop report: the number of lines it covers
}

// New returns a Queue that writes to out, with one call of Write for each line.
func New(out io.Writer) *Queue { return &Queue{out: out} }

// Stdout and Stderr return the process-wide queue of each stream, so that all writers share one order.
var (
	Stdout = sync.OnceValue(func() *Queue { return New(os.Stdout) })
	Stderr = sync.OnceValue(func() *Queue { return New(os.Stderr) })
)

// Write queues a line and returns immediately. A line that does not fit is dropped and counted. Write never fails,
// so that a logger can use it.
func (q *Queue) Write(text []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, _ = q.enqueue(slices.Clone(text))
	return len(text), nil
}

// Deliver writes a line. If the reader stalls, the line stays in the queue and Deliver returns nil. The error is
// ErrStalled if the queue is full, or that of the write. If Deliver returned nil and the line cannot be written
// later, onFail is called once with the error. onFail may be nil.
func (q *Queue) Deliver(text []byte, onFail func(error)) error {
	if onFail == nil {
		onFail = func(error) {}
	}
	return q.enqueueAndWait(text, onFail)
}

// Commit writes a line and returns nil only after the stream has accepted all of it. While the reader is stalled it
// returns ErrStalled immediately. A line for which it returned ErrStalled is written later only if its write had
// already started.
func (q *Queue) Commit(text []byte) error { return q.enqueueAndWait(text, nil) }

// Stalled reports whether the reader is not reading, judged by the most recent lines.
func (q *Queue) Stalled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stalled
}

// Flush waits until everything is written or the timeout expires. Delivered lines that are not written in time fail
// with ErrStalled.
func (q *Queue) Flush(timeout time.Duration) {
	q.mu.Lock()
	idle := q.idle
	busy := q.writing
	q.mu.Unlock()
	if !busy {
		return
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-idle:
		return
	case <-timer.C:
	}
	q.mu.Lock()
	var failed []func(error)
	for _, l := range q.pending {
		if l.onFail != nil {
			failed = append(failed, l.onFail)
			l.onFail = nil
		}
	}
	q.mu.Unlock()
	for _, f := range failed {
		f(ErrStalled)
	}
}

// enqueueAndWait queues a line and waits until it is written. If the reader stalls, the line stays in the queue only
// if onFail is not nil.
func (q *Queue) enqueueAndWait(text []byte, onFail func(error)) error {
	keep := onFail != nil
	q.mu.Lock()
	stalled := q.stalled
	if stalled && !keep {
		q.mu.Unlock()
		return ErrStalled
	}
	l, err := q.enqueue(slices.Clone(text))
	if err == nil && stalled {
		l.onFail = onFail
	}
	q.mu.Unlock()
	if err != nil || stalled {
		return err
	}
	timer := time.NewTimer(orDefault(q.Timeout, defaultTimeout))
	defer timer.Stop()
	select {
	case <-l.done:
		return l.err
	case <-timer.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	default:
	}
	q.stalled = true
	if keep {
		l.onFail = onFail
		return nil
	}
	if i := slices.Index(q.pending, l); i >= 0 && !l.started {
		q.pending = slices.Delete(q.pending, i, i+1)
		q.size -= len(l.text)
	}
	return ErrStalled
}

// enqueue queues a line and starts a writer if none is running. The caller holds q.mu.
func (q *Queue) enqueue(text []byte) (*line, error) {
	if q.size > 0 && q.size+len(text) > orDefault(q.MaxBytes, defaultMaxBytes) {
		q.dropped++
		return nil, ErrStalled
	}
	if q.dropped > 0 && q.DropReport != nil {
		report := q.DropReport(q.dropped)
		q.pending = append(q.pending, &line{text: report, done: make(chan struct{}), reported: q.dropped})
		q.dropped = 0
		q.size += len(report)
	}
	l := &line{text: text, done: make(chan struct{})}
	q.pending = append(q.pending, l)
	q.size += len(text)
	if !q.writing {
		q.writing, q.idle = true, make(chan struct{})
		go q.writeLoop()
	}
	return l, nil
}

// writeLoop writes the queued lines and returns when none is left.
func (q *Queue) writeLoop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pending) > 0 {
		l := q.pending[0]
		l.started = true
		text := l.text
		if q.partialLine {
			text = append([]byte("\n"), text...)
		}
		q.mu.Unlock()
		n, err := q.writeOnce(text)
		q.mu.Lock()
		if n > 0 {
			q.partialLine = n < len(text)
		}
		if err == nil && n < len(text) {
			err = io.ErrShortWrite
		}
		q.pending = q.pending[1:]
		q.size -= len(l.text)
		q.stalled = false
		if err != nil {
			q.dropped += max(1, l.reported)
		}
		l.err = err
		close(l.done)
		if onFail := l.onFail; err != nil && onFail != nil {
			l.onFail = nil
			q.mu.Unlock()
			onFail(err)
			q.mu.Lock()
		}
	}
	q.pending, q.writing = nil, false
	close(q.idle)
}

// writeOnce calls Write and turns its panic into an error.
func (q *Queue) writeOnce(text []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the write panicked: %v", p)
		}
	}()
	return q.out.Write(text)
}

func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
