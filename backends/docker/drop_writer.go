package docker

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"nomadctld/backends"
)

// dropQueue passes on what is written to its writers as fast as it is taken, in the same order, and holds up nobody. What comes
// when maxQueued bytes have not been taken is dropped, and said to have been.
type dropQueue struct {
	notices io.Writer // text
	done    chan struct{}

	mu           sync.Mutex
	changed      sync.Cond // something of the following has changed
	queue        []queuedWrite
	size         int
	droppedBytes int // bytes, since something was queued
	midLine      bool
	closed       bool
	err          error
}

// queuedWrite is a piece that has not been taken yet.
type queuedWrite struct {
	to   io.Writer
	data []byte
}

const (
	maxQueued      = 1 << 20
	queuedOverhead = 64 // what a piece costs beside its data
)

func newDropQueue(notes io.Writer) *dropQueue {
	l := &dropQueue{notices: notes, done: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// writer returns what writes to w without waiting for it.
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
	if w.size+len(p)+queuedOverhead > maxQueued || w.droppedBytes > 0 && w.size > maxQueued/2 { // one gap instead of many
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

// addNotice says what is missing in the place where it is. l.mu is held.
func (l *dropQueue) addNotice() {
	if l.droppedBytes == 0 {
		return
	}
	text := fmt.Sprintf("nomadctld: %d bytes skipped here: they came faster than this client reads\n", l.droppedBytes)
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

// discard lets what has not been taken go.
func (l *dropQueue) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = l.queue[:min(1, len(l.queue))] // the first one may be being written
	l.changed.Signal()
}

// close says that nothing more is written; done is closed when all has been taken.
func (l *dropQueue) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addNotice()
	l.closed = true
	l.changed.Signal()
}
