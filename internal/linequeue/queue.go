// Package linequeue writes lines to a stream, such as a pipe, whose reader may stall or exit. Whoever writes a line
// waits for a bounded time at most, and the lines that nobody reads take a bounded amount of memory. It must not be
// used for files, where a write returns in any case and a failed one can be undone.
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

// ErrStalled is the error for a line that was dropped because the reader of the stream has stopped reading.
var ErrStalled = errors.New("the reader of the stream has stopped reading")

// Queue writes lines to a stream in their order. Its methods may be called at the same time. The zero value of an
// exported field means its default.
type Queue struct {
	Timeout  time.Duration // how long Commit and Deliver wait for a reader that was reading before (2s)
	MaxBytes int           // bytes that wait to be written (4 MiB)

	// DropReport returns a line that reports how many lines were dropped. It is written before the next line that is not
	// dropped. nil: nothing reports it here.
	DropReport func(n int) []byte

	out io.Writer

	mu          sync.Mutex // guards all below
	pending     []*line
	size        int  // of waiting, in bytes
	writing     bool // a goroutine writes
	idle        chan struct{}
	stalled     bool // a line has waited for longer than Timeout, and none was written since
	partialLine bool // the last write failed after a part of its line
	dropped     int  // lines that were dropped and not reported yet
}

type line struct {
	text    []byte
	done    chan struct{} // closed: err is final
	err     error
	started bool // it is being written, and cannot be withdrawn

	failed   func(error) // gets the error of the write; nil: nobody needs it, or who waits for done gets it
	reported int         // of a report: the lines that it is about
}

// New returns a Queue that writes to out, one call of its Write for each line.
func New(out io.Writer) *Queue { return &Queue{out: out} }

// Stdout and Stderr return the one queue of each stream of this process, so that all who write to it share its order.
var (
	Stdout = sync.OnceValue(func() *Queue { return New(os.Stdout) })
	Stderr = sync.OnceValue(func() *Queue { return New(os.Stderr) })
)

// Write queues a line and returns at once. A line that does not fit is dropped and counted. It never fails, so that a
// logger can write to it.
func (q *Queue) Write(text []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, _ = q.enqueue(slices.Clone(text))
	return len(text), nil
}

// Deliver writes a line. If the reader stalls, the line stays in the queue and Deliver returns nil. The error is
// ErrStalled if the queue is full, or that of the write. If Deliver has returned nil and the line cannot be written after
// all, failed is called with the error, once. It may be nil.
func (q *Queue) Deliver(text []byte, failed func(error)) error {
	if failed == nil {
		failed = func(error) {}
	}
	return q.enqueueAndWait(text, failed)
}

// Commit writes a line and returns nil only after the stream has accepted all of it. While the reader stalls it returns
// ErrStalled at once. A line for which it returned ErrStalled is written later only if its write had begun.
func (q *Queue) Commit(text []byte) error { return q.enqueueAndWait(text, nil) }

// Stalled reports whether the reader does not read, as far as the last lines have shown.
func (q *Queue) Stalled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stalled
}

// Flush waits until everything was written, or until the timeout. Delivered lines that were not written by then have failed.
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
		if l.failed != nil {
			failed = append(failed, l.failed)
			l.failed = nil
		}
	}
	q.mu.Unlock()
	for _, f := range failed {
		f(ErrStalled)
	}
}

// enqueueAndWait writes a line. If the reader stalls, the line stays in the queue if failed is not nil.
func (q *Queue) enqueueAndWait(text []byte, failed func(error)) error {
	keep := failed != nil
	q.mu.Lock()
	stalled := q.stalled
	if stalled && !keep {
		q.mu.Unlock()
		return ErrStalled
	}
	l, err := q.enqueue(slices.Clone(text))
	if err == nil && stalled {
		l.failed = failed
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
		l.failed = failed
		return nil
	}
	if i := slices.Index(q.pending, l); i >= 0 && !l.started {
		q.pending = slices.Delete(q.pending, i, i+1)
		q.size -= len(l.text)
	}
	return ErrStalled
}

// enqueue queues a line and sees to it that somebody writes. q.mu is held.
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

// writeLoop writes what is queued and returns when nothing is left.
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
		if failed := l.failed; err != nil && failed != nil {
			l.failed = nil
			q.mu.Unlock()
			failed(err)
			q.mu.Lock()
		}
	}
	q.pending, q.writing = nil, false
	close(q.idle)
}

// writeOnce keeps a panic of the writer in this line.
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
