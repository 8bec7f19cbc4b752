package sshd

import (
	"net"
	"sync"
	"time"
)

// sender sends what a session writes in one piece: x/crypto cuts it into packets of at most 32 KiB and writes each of
// them in two, and every piece by itself wakes the client.
type sender struct {
	conn net.Conn

	mu      sync.Mutex
	writers int         // sessions that write now
	held    *[]byte     // from heldBuffers; nil: nothing is held back
	late    *time.Timer // runs while something is
	rest    time.Time   // nothing is held back before
	failure error
}

const (
	onePiece = 4<<10 - 64 // bytes, which with what belongs to a packet x/crypto writes at once anyway
	heldMost = 256 << 10

	// A session's write waits while the client's window is used up, and the client may be waiting for what is held back.
	heldLongest = 20 * time.Millisecond
	restAfter   = time.Second
)

var heldBuffers = sync.Pool{New: func() any { b := make([]byte, 0, heldMost); return &b }}

// begin lets what is written be held back until end is called, which has to follow.
func (s *sender) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers++
}

// end sends what is held back.
func (s *sender) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers--
	s.send()
	return s.failure
}

// flush sends what is held back now.
func (s *sender) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send()
	return s.failure
}

// overdue sends what is held back although a session still writes: it is the client that it waits for.
func (s *sender) overdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		s.rest = time.Now().Add(restAfter)
		s.send()
	}
}

// Write implements io.Writer.
func (s *sender) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil && len(*s.held)+len(p) > heldMost {
		s.send()
	}
	if s.failure != nil {
		return 0, s.failure
	}
	if s.writers == 0 || len(p) > heldMost || time.Now().Before(s.rest) {
		var n int
		n, s.failure = s.conn.Write(p)
		return n, s.failure
	}
	if s.held == nil {
		s.hold()
	}
	*s.held = append(*s.held, p...)
	return len(p), nil
}

func (s *sender) hold() {
	s.held = heldBuffers.Get().(*[]byte)
	if s.late == nil {
		s.late = time.AfterFunc(heldLongest, s.overdue)
	} else {
		s.late.Reset(heldLongest)
	}
}

func (s *sender) send() {
	if s.held == nil {
		return
	}
	s.late.Stop()
	_, s.failure = s.conn.Write(*s.held)
	*s.held = (*s.held)[:0]
	heldBuffers.Put(s.held)
	s.held = nil
}
