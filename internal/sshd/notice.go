package sshd

import (
	"fmt"
	"maps"
	"time"
)

// A noticeKind is a message that is printed to running commands. A command gets each kind at most once. After
// one kind, it gets only kinds that are listed later.
type noticeKind int

const (
	noNotice noticeKind = iota
	drainNotice
	stopNotice
)

// announceStop prints to every running command how much time it has left.
func (s *Server) announceStop(grace time.Duration) {
	s.mu.Lock()
	s.stopAt = time.Now().Add(grace)
	s.mu.Unlock()
	s.printNotices()
}

// printNotices prints the current notice to all running commands. It does not wait for clients that do not read. A
// command that starts later prints the notice itself.
func (s *Server) printNotices() {
	s.mu.Lock()
	conns := maps.Clone(s.conns)
	s.mu.Unlock()
	for c := range conns {
		c.mu.Lock()
		channels := maps.Clone(c.channels)
		c.mu.Unlock()
		for ch := range channels {
			s.goRecover("notice", c, func() { s.printNotice(ch) })
		}
	}
}

// printNotice prints the current notice to the command of a session, if it is running and has not got the notice.
func (s *Server) printNotice(ch *channel) {
	kind, text := s.notice()
	if stream, ok := ch.takeNotice(kind); ok {
		stream.printNotice(text)
	}
}

// notice returns the current notice.
func (s *Server) notice() (kind noticeKind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.stopAt.IsZero():
		left := max(0, time.Until(s.stopAt)).Round(time.Second)
		return stopNotice, fmt.Sprintf("the gateway is stopping; this command will be stopped in %s", left)
	case s.draining:
		return drainNotice, "the gateway will be stopped soon; connect again for new commands"
	}
	return noNotice, ""
}

// setNoticeStream sets the stream for notices, when the command starts.
func (c *channel) setNoticeStream(stream textWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noticeStream = &stream
}

// takeNotice returns the stream for a notice. ok is false if no command is running, or if the command has got the
// notice or a later one.
func (c *channel) takeNotice(kind noticeKind) (stream textWriter, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noticeStream == nil || kind <= c.lastNotice {
		return stream, false
	}
	c.lastNotice = kind
	return *c.noticeStream, true
}

// dropNoticeStream prevents notices after the command has finished.
func (c *channel) dropNoticeStream() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noticeStream = nil
}

// printInBackground prints a line to the command of a session, if it is running. It does not wait for the client.
func (c *channel) printInBackground(text string) {
	c.mu.Lock()
	stream := c.noticeStream
	c.mu.Unlock()
	if stream != nil {
		go c.runRecovered("notice", func() { stream.printNotice(text) })
	}
}

// printNotice writes a line of the gateway.
func (t textWriter) printNotice(text string) {
	t.writeNotice(notice{t.encode([]byte("\n")), t.encode([]byte("nomadctld: " + text + "\n"))})
}

// notice is a line that does not belong to the output of the command.
type notice struct{ newline, line []byte }

// writeNotice writes a notice. If a write is in progress, that write continues, and its goroutine writes the notice.
func (s *outputStream) writeNotice(n notice) {
	s.notice.Store(&n)
	s.flushNotice()
}

// flushNotice writes the notice on a line of its own, unless a write is in progress. Write calls it after each write.
func (s *outputStream) flushNotice() {
	for s.notice.Load() != nil && s.mu.TryLock() {
		if n := s.notice.Swap(nil); n != nil {
			if s.midLine {
				s.writeTo(s.notices, n.newline)
			}
			s.writeTo(s.notices, n.line)
		}
		s.mu.Unlock()
	}
}
