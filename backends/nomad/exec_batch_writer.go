package nomad

import (
	"context"
	"errors"
	"io"
	"sync"
)

// coalescer is a buffered writer that joins small writes: while one write to dst is in progress, it buffers the next
// ones and then writes them at once. Nomad sends one kilobyte at a time, and each write to a user is a packet.
type coalescer struct {
	dst     io.Writer
	onError func(error) // called for a write error of dst

	mu       sync.Mutex // guards the fields below
	changed  sync.Cond  // signals a change of them
	buffered []byte
	writing  bool
	err      error
}

// maxBuffered is the number of buffered bytes at which Write blocks.
const maxBuffered = 128 << 10

func newCoalescer(dst io.Writer, onError func(error)) *coalescer {
	c := &coalescer{dst: dst, onError: onError}
	c.changed.L = &c.mu
	return c
}

// Write blocks only while the buffer is full. It returns the error of an earlier write to dst, if any.
func (c *coalescer) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buffered) >= maxBuffered && c.err == nil {
		c.changed.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	c.buffered = append(c.buffered, p...)
	if !c.writing {
		c.writing = true
		go c.writeBuffered()
	}
	return len(p), nil
}

// writeBuffered writes to dst until the buffer is empty.
func (c *coalescer) writeBuffered() {
	var spare []byte
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buffered) > 0 && c.err == nil {
		next := c.buffered
		c.buffered = spare[:0]
		c.changed.Broadcast()
		c.mu.Unlock()
		_, err := c.dst.Write(next)
		c.mu.Lock()
		spare = next
		if c.err == nil && err != nil {
			c.err = err
			c.onError(err)
		}
	}
	c.writing = false
	c.changed.Broadcast()
}

// flush waits until the buffer has been written, a write has failed or ctx ends.
func (c *coalescer) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.close(context.Cause(ctx)) })
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.writing || len(c.buffered) > 0) && c.err == nil {
		c.changed.Wait()
	}
}

// errWriterClosed is returned to writes after close.
var errWriterClosed = errors.New("the output is closed")

// close makes all pending and future calls return cause. It does not interrupt a write to dst.
func (c *coalescer) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = cause
	}
	c.changed.Broadcast()
}
