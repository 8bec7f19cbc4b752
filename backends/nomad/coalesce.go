package nomad

import (
	"context"
	"errors"
	"io"
	"sync"
)

// coalescer gathers what comes while it writes, and writes that at once: Nomad sends a kilobyte at a time, and each write to
// a user is a packet of its own.
type coalescer struct {
	dst     io.Writer
	onError func(error) // what to does not take

	mu       sync.Mutex
	changed  sync.Cond // something of the following has changed
	buffered []byte
	writing  bool
	err      error
}

// maxBuffered is how much may wait for a slow reader.
const maxBuffered = 128 << 10

func newCoalescer(to io.Writer, failed func(error)) *coalescer {
	b := &coalescer{dst: to, onError: failed}
	b.changed.L = &b.mu
	return b
}

// Write waits for room only. Its error may be of an earlier one.
func (b *coalescer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.buffered) >= maxBuffered && b.err == nil {
		b.changed.Wait()
	}
	if b.err != nil {
		return 0, b.err
	}
	b.buffered = append(b.buffered, p...)
	if !b.writing {
		b.writing = true
		go b.writeBuffered()
	}
	return len(p), nil
}

func (b *coalescer) writeBuffered() {
	var spare []byte
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.buffered) > 0 && b.err == nil {
		next := b.buffered
		b.buffered = spare[:0]
		b.changed.Broadcast()
		b.mu.Unlock()
		_, err := b.dst.Write(next)
		b.mu.Lock()
		spare = next
		if b.err == nil && err != nil {
			b.err = err
			b.onError(err)
		}
	}
	b.writing = false
	b.changed.Broadcast()
}

// flush waits until all has been written, as long as that works and ctx lives.
func (b *coalescer) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { b.close(context.Cause(ctx)) })
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for (b.writing || len(b.buffered) > 0) && b.err == nil {
		b.changed.Wait()
	}
}

// errWriterClosed is what those read who write after the end.
var errWriterClosed = errors.New("nothing more is written")

// close lets nobody wait any more. A write that is underway is left to itself.
func (b *coalescer) close(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = cause
	}
	b.changed.Broadcast()
}
