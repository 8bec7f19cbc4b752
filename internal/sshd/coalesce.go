package sshd

import (
	"net"
	"sync"
	"time"
)

// coalescer combines small writes to a connection. x/crypto splits a session's write into packets of at most 32 KiB and
// writes each packet in two parts. Each of these writes would wake the client.
type coalescer struct {
	conn net.Conn

	mu              sync.Mutex  // guards the fields below
	writers         int         // sessions that are writing
	buffered        *[]byte     // from writeBuffers; nil: nothing is buffered
	flushTimer      *time.Timer // runs while something is buffered
	unbufferedUntil time.Time   // no buffering before this time
	err             error
}

const (
	maxSmallWrite = 4<<10 - 64 // bytes; x/crypto writes such a packet with one Write
	maxBuffered   = 256 << 10

	// A write blocks while the client's window is full. The client may be waiting for the buffered data.
	flushTimeout    = 20 * time.Millisecond
	unbufferedGrace = time.Second
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, maxBuffered); return &b }}

// startWrite starts buffering. finishWrite must follow.
func (c *coalescer) startWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writers++
}

// finishWrite sends the buffered data.
func (c *coalescer) finishWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writers--
	c.flushLocked()
	return c.err
}

// flush sends the buffered data now.
func (c *coalescer) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
	return c.err
}

// flushOverdue sends the buffered data while a session is still writing, because the write waits for the client.
func (c *coalescer) flushOverdue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffered != nil {
		c.unbufferedUntil = time.Now().Add(unbufferedGrace)
		c.flushLocked()
	}
}

// Write implements io.Writer.
func (c *coalescer) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffered != nil && len(*c.buffered)+len(p) > maxBuffered {
		c.flushLocked()
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.writers == 0 || len(p) > maxBuffered || time.Now().Before(c.unbufferedUntil) {
		var n int
		n, c.err = c.conn.Write(p)
		return n, c.err
	}
	if c.buffered == nil {
		c.startBuffer()
	}
	*c.buffered = append(*c.buffered, p...)
	return len(p), nil
}

// startBuffer gets a buffer and starts the flush timer. The caller holds mu.
func (c *coalescer) startBuffer() {
	c.buffered = writeBuffers.Get().(*[]byte)
	if c.flushTimer == nil {
		c.flushTimer = time.AfterFunc(flushTimeout, c.flushOverdue)
	} else {
		c.flushTimer.Reset(flushTimeout)
	}
}

// flushLocked sends the buffered data. The caller holds mu.
func (c *coalescer) flushLocked() {
	if c.buffered == nil {
		return
	}
	c.flushTimer.Stop()
	_, c.err = c.conn.Write(*c.buffered)
	*c.buffered = (*c.buffered)[:0]
	writeBuffers.Put(c.buffered)
	c.buffered = nil
}
