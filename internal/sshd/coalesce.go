package sshd

import (
	"net"
	"sync"
	"time"
)

// coalescer combines the writes of a session into one. x/crypto splits a write into packets of at most 32 KiB and
// writes each packet in two parts, and every write wakes the client.
type coalescer struct {
	conn net.Conn

	mu              sync.Mutex
	writers         int         // sessions that are writing
	buffered        *[]byte     // from writeBuffers; nil: nothing is buffered
	flushTimer      *time.Timer // runs while something is buffered
	unbufferedUntil time.Time   // no buffering before this time
	err             error
}

const (
	maxSmallWrite = 4<<10 - 64 // bytes; x/crypto writes such a packet at once
	maxBuffered   = 256 << 10

	// A write blocks while the client's window is full. The client may be waiting for the buffered data.
	flushTimeout    = 20 * time.Millisecond
	unbufferedGrace = time.Second
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, maxBuffered); return &b }}

// startWrite starts buffering. finishWrite must follow.
func (s *coalescer) startWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers++
}

// finishWrite sends the buffered data.
func (s *coalescer) finishWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers--
	s.flushLocked()
	return s.err
}

// flush sends the buffered data now.
func (s *coalescer) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
	return s.err
}

// flushOverdue sends the buffered data while a session is still writing, because the write waits for the client.
func (s *coalescer) flushOverdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buffered != nil {
		s.unbufferedUntil = time.Now().Add(unbufferedGrace)
		s.flushLocked()
	}
}

// Write implements io.Writer.
func (s *coalescer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buffered != nil && len(*s.buffered)+len(p) > maxBuffered {
		s.flushLocked()
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.writers == 0 || len(p) > maxBuffered || time.Now().Before(s.unbufferedUntil) {
		var n int
		n, s.err = s.conn.Write(p)
		return n, s.err
	}
	if s.buffered == nil {
		s.startBuffer()
	}
	*s.buffered = append(*s.buffered, p...)
	return len(p), nil
}

func (s *coalescer) startBuffer() {
	s.buffered = writeBuffers.Get().(*[]byte)
	if s.flushTimer == nil {
		s.flushTimer = time.AfterFunc(flushTimeout, s.flushOverdue)
	} else {
		s.flushTimer.Reset(flushTimeout)
	}
}

func (s *coalescer) flushLocked() {
	if s.buffered == nil {
		return
	}
	s.flushTimer.Stop()
	_, s.err = s.conn.Write(*s.buffered)
	*s.buffered = (*s.buffered)[:0]
	writeBuffers.Put(s.buffered)
	s.buffered = nil
}
