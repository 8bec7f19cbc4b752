package docker

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"nomadctld/backends"
)

// lagging passes on what is written to its writers as fast as it is taken, in the same order, and holds up nobody. What comes
// when mostLag bytes have not been taken is dropped, and said to have been.
type lagging struct {
	notes io.Writer // text
	done  chan struct{}

	mu      sync.Mutex
	moved   sync.Cond // something of the following has changed
	queue   []late
	size    int
	dropped int // bytes, since something was queued
	ragged  bool
	over    bool
	failure error
}

// late is a piece that has not been taken yet.
type late struct {
	to   io.Writer
	data []byte
}

const (
	mostLag     = 1 << 20
	lagOverhead = 64 // what a piece costs beside its data
)

func newLagging(notes io.Writer) *lagging {
	l := &lagging{notes: notes, done: make(chan struct{})}
	l.moved.L = &l.mu
	go l.pass()
	return l
}

// writer returns what writes to w without waiting for it.
func (l *lagging) writer(w io.Writer) io.Writer { return lagWriter{l, w} }

type lagWriter struct {
	*lagging
	to io.Writer
}

func (w lagWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != nil {
		return 0, w.failure
	}
	if w.size+len(p)+lagOverhead > mostLag || w.dropped > 0 && w.size > mostLag/2 { // one gap instead of many
		w.dropped += len(p)
		return len(p), nil
	}
	w.note()
	w.add(w.to, bytes.Clone(p))
	w.ragged = !bytes.HasSuffix(p, []byte{'\n'})
	return len(p), nil
}

func (l *lagging) add(to io.Writer, data []byte) {
	l.queue = append(l.queue, late{to, data})
	l.size += len(data) + lagOverhead
	l.moved.Signal()
}

// note says what is missing in the place where it is. l.mu is held.
func (l *lagging) note() {
	if l.dropped == 0 {
		return
	}
	text := fmt.Sprintf("nomadctld: %d bytes skipped here: they came faster than this client reads\n", l.dropped)
	if l.ragged {
		text = "\n" + text
	}
	l.dropped, l.ragged = 0, false
	l.add(l.notes, []byte(text))
}

func (l *lagging) pass() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.queue) == 0 && !l.over {
			l.moved.Wait()
		}
		if len(l.queue) == 0 || l.failure != nil {
			return
		}
		next := l.queue[0]
		l.mu.Unlock()
		err := backends.Protect(func() error { return write(next.to, next.data) })
		l.mu.Lock()
		l.queue, l.size = l.queue[1:], l.size-len(next.data)-lagOverhead
		if err != nil {
			l.failure = err
		}
	}
}

// drop lets what has not been taken go.
func (l *lagging) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = l.queue[:min(1, len(l.queue))] // the first one may be being written
	l.moved.Signal()
}

// close says that nothing more is written; done is closed when all has been taken.
func (l *lagging) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note()
	l.over = true
	l.moved.Signal()
}
