package sshd

import (
	"fmt"
	"maps"
	"time"
)

// announceStop prints to every running command how much time it has left. It does not wait for clients that do not
// read. A command that starts later prints the message itself.
func (s *Server) announceStop(grace time.Duration) {
	s.mu.Lock()
	s.stopAt = time.Now().Add(grace)
	conns := maps.Clone(s.conns)
	s.mu.Unlock()
	for c := range conns {
		c.mu.Lock()
		channels := maps.Clone(c.channels)
		c.mu.Unlock()
		for ch := range channels {
			s.goRecover("stop notice", c, func() { s.printStopNotice(ch) })
		}
	}
}

// printStopNotice prints how much time the command of a session has left, once, if the gateway is stopping and the
// command is running.
func (s *Server) printStopNotice(ch *channel) {
	s.mu.Lock()
	stopAt := s.stopAt
	s.mu.Unlock()
	if stopAt.IsZero() {
		return
	}
	stream, ok := ch.takeNoticeStream()
	if !ok {
		return
	}
	left := max(0, time.Until(stopAt)).Round(time.Second)
	text := fmt.Sprintf("nomadctld: the gateway is stopping; this command will be stopped in %s\n", left)
	stream.writeNotice(stopNotice{stream.encode([]byte("\n")), stream.encode([]byte(text))})
}

// setNoticeStream sets the stream for a notice, when the command starts.
func (c *channel) setNoticeStream(stream textWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noticeStream = &stream
}

// takeNoticeStream returns the stream for the notice. ok is false if no command is running, or if the stream was
// already taken.
func (c *channel) takeNoticeStream() (stream textWriter, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noticeStream == nil {
		return stream, false
	}
	stream, c.noticeStream = *c.noticeStream, nil
	return stream, true
}

// dropNoticeStream prevents a notice after the end of the command.
func (c *channel) dropNoticeStream() { c.takeNoticeStream() }

// stopNotice is a line that does not belong to the output of the command.
type stopNotice struct{ newline, line []byte }

// writeNotice writes a notice. If a write is in progress, that write continues, and its goroutine writes the notice.
func (s *outputStream) writeNotice(n stopNotice) {
	s.notice.Store(&n)
	s.flushNotice()
}

// flushNotice writes the notice on a line of its own, unless a write is in progress. Write calls it after each write.
func (s *outputStream) flushNotice() {
	for s.notice.Load() != nil && s.mu.TryLock() {
		if n := s.notice.Swap(nil); n != nil {
			if s.midLine {
				s.write(n.newline)
			}
			s.write(n.line)
		}
		s.mu.Unlock()
	}
}
