package docker

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"nomadctld/backends"
)

// dropQueue forwards writes to several writers in order, from one goroutine, so that its writers never block. If
// maxQueued bytes are waiting, further writes are dropped and a notice is written at the gap.
type dropQueue struct {
	notices io.Writer // for the notices about dropped bytes
	done    chan struct{}

	mu           sync.Mutex
	changed      sync.Cond // signaled when a field below changes
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

func newDropQueue(notes io.Writer) *dropQueue {
	l := &dropQueue{notices: notes, done: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// writer returns a writer that queues writes to w.
func (l *dropQueue) writer(w io.Writer) io.Writer { return dropWriter{l, w} }

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

func (l *dropQueue) add(to io.Writer, data []byte) {
	l.queue = append(l.queue, queuedWrite{to, data})
	l.size += len(data) + queuedOverhead
	l.changed.Signal()
}

// addNotice queues a notice about the bytes dropped so far. The caller holds mu.
func (l *dropQueue) addNotice() {
	if l.droppedBytes == 0 {
		return
	}
	text := fmt.Sprintf("nomadctld: skipped %d bytes here: this client reads too slowly\n", l.droppedBytes)
	if l.midLine {
		text = "\n" + text
	}
	l.droppedBytes, l.midLine = 0, false
	l.add(l.notices, []byte(text))
}

func (l *dropQueue) run() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.queue) == 0 && !l.closed {
			l.changed.Wait()
		}
		if len(l.queue) == 0 || l.err != nil {
			return
		}
		next := l.queue[0]
		l.mu.Unlock()
		err := backends.Protect(func() error { return writeAll(next.to, next.data) })
		l.mu.Lock()
		l.queue, l.size = l.queue[1:], l.size-len(next.data)-queuedOverhead
		if err != nil {
			l.err = err
		}
	}
}

// discard drops all waiting writes.
func (l *dropQueue) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = l.queue[:min(1, len(l.queue))] // the first write may be in progress
	l.changed.Signal()
}

// close ends the input. done is closed when all waiting writes are written.
func (l *dropQueue) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addNotice()
	l.closed = true
	l.changed.Signal()
}
