package docker

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"nomadctld/internal/safego"
)

// dropQueue forwards writes to several writers in order, from one goroutine, so that Write never blocks. If maxQueued
// bytes are waiting, further writes are dropped and a notice is written at the gap.
type dropQueue struct {
	notices io.Writer // for the notices about dropped bytes
	done    chan struct{}

	mu           sync.Mutex // guards the fields below
	changed      sync.Cond  // signaled when run has something to do
	queue        []queuedWrite
	size         int
	droppedBytes int // since the last write that was queued
	midLine      bool
	closed       bool
	err          error
}

// queuedWrite is a write that is waiting.
type queuedWrite struct {
	to   io.Writer
	data []byte
}

const (
	maxQueued      = 1 << 20
	queuedOverhead = 64 // memory of a write in addition to its data
)

// newDropQueue returns an empty queue. Call close to stop its goroutine.
func newDropQueue(notices io.Writer) *dropQueue {
	q := &dropQueue{notices: notices, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// writer returns a writer that queues writes to w.
func (q *dropQueue) writer(w io.Writer) io.Writer { return dropWriter{q, w} }

// dropWriter queues writes to one writer.
type dropWriter struct {
	*dropQueue
	to io.Writer
}

func (w dropWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	full := w.size+len(p)+queuedOverhead > maxQueued
	if full || w.droppedBytes > 0 && w.size > maxQueued/2 { // collect drops into one gap
		w.droppedBytes += len(p)
		return len(p), nil
	}
	w.addNotice()
	w.add(w.to, bytes.Clone(p))
	w.midLine = !bytes.HasSuffix(p, []byte{'\n'})
	return len(p), nil
}

// add queues a write. The caller holds mu.
func (q *dropQueue) add(to io.Writer, data []byte) {
	q.queue = append(q.queue, queuedWrite{to, data})
	q.size += len(data) + queuedOverhead
	q.changed.Signal()
}

// addNotice queues a notice about the bytes dropped so far. The caller holds mu.
func (q *dropQueue) addNotice() {
	if q.droppedBytes == 0 {
		return
	}
	text := fmt.Sprintf("nomadctld: skipped %d bytes here: this client reads too slowly\n", q.droppedBytes)
	if q.midLine {
		text = "\n" + text
	}
	q.droppedBytes, q.midLine = 0, false
	q.add(q.notices, []byte(text))
}

// run writes queued data until the queue is closed and empty, or a write fails.
func (q *dropQueue) run() {
	defer close(q.done)
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.queue) == 0 && !q.closed {
			q.changed.Wait()
		}
		if len(q.queue) == 0 || q.err != nil {
			return
		}
		next := q.queue[0]
		q.mu.Unlock()
		err := safego.Protect(func() error { return writeAll(next.to, next.data) })
		q.mu.Lock()
		q.queue, q.size = q.queue[1:], q.size-len(next.data)-queuedOverhead
		if err != nil {
			q.err = err
		}
	}
}

// discard drops all waiting writes.
func (q *dropQueue) discard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = q.queue[:min(1, len(q.queue))] // the first write may be in progress
	q.changed.Signal()
}

// close marks the end of the writes. done is closed when all waiting writes are written, or one has failed.
func (q *dropQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addNotice()
	q.closed = true
	q.changed.Signal()
}
