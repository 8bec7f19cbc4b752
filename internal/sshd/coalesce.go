package sshd

import (
	"net"
	"sync"
	"time"
)

// coalescer sends what a session writes in one piece: x/crypto cuts it into packets of at most 32 KiB and writes each of
// them in two, and every piece by itself wakes the client.
type coalescer struct {
	conn net.Conn

	mu              sync.Mutex
	writers         int         // sessions that write now
	buffered        *[]byte     // from writeBuffers; nil: nothing is held back
	flushTimer      *time.Timer // runs while something is
	unbufferedUntil time.Time   // nothing is held back before
	err             error
}

const (
	maxSmallWrite = 4<<10 - 64 // bytes, which with what belongs to a packet x/crypto writes at once anyway
	maxBuffered   = 256 << 10

	// A session's write waits while the client's window is used up, and the client may be waiting for what is held back.
	flushTimeout    = 20 * time.Millisecond
	unbufferedGrace = time.Second
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, maxBuffered); return &b }}

// startWrite lets what is written be held back until end is called, which has to follow.
func (s *coalescer) startWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers++
}

// finishWrite sends what is held back.
func (s *coalescer) finishWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers--
	s.flushLocked()
	return s.err
}

// flush sends what is held back now.
func (s *coalescer) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
	return s.err
}

// flushOverdue sends what is held back although a session still writes: it is the client that it waits for.
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
