package sshd

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recordingConn is a connection that records its writes.
type recordingConn struct {
	net.Conn
	broken error

	mu     sync.Mutex
	writes []string
}

func (n *recordingConn) Write(p []byte) (int, error) {
	if n.broken != nil {
		return 0, n.broken
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes = append(n.writes, string(p))
	return len(p), nil
}

func (n *recordingConn) want(t *testing.T, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.writes, want) {
		t.Errorf("written %d times, want %d: %.60q", len(n.writes), len(want), n.writes)
	}
	n.writes = nil
}

func writeAll(t *testing.T, s *coalescer, words ...string) {
	t.Helper()
	for _, word := range words {
		if n, err := s.Write([]byte(word)); n != len(word) || err != nil {
			t.Errorf("%.20q: %d, %v", word, n, err)
		}
	}
}

func TestCoalescer_OneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		s := &coalescer{conn: conn}
		writeAll(t, s, "hello ", "world")
		conn.want(t, "hello ", "world")

		s.startWrite()
		writeAll(t, s, "a", "b", "c")
		conn.want(t)
		if err := s.finishWrite(); err != nil {
			t.Error(err)
		}
		conn.want(t, "abc")
		writeAll(t, s, "d")
		conn.want(t, "d")
	})
}

func TestCoalescer_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		s := &coalescer{conn: conn}
		half, huge := strings.Repeat("x", maxBuffered/2), strings.Repeat("y", maxBuffered+1)
		s.startWrite()
		writeAll(t, s, "1", half, half, huge, "2")
		s.finishWrite()
		conn.want(t, "1"+half, half, huge, "2")
	})
}

func TestCoalescer_SessionsIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		s := &coalescer{conn: conn}
		s.startWrite()
		s.startWrite()
		writeAll(t, s, "a", "b")
		s.finishWrite()
		conn.want(t, "ab")
		writeAll(t, s, "c")
		conn.want(t)
		s.finishWrite()
		conn.want(t, "c")
	})
}

func TestCoalescer_FlushesOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		s := &coalescer{conn: conn}
		s.startWrite()
		writeAll(t, s, "part")
		time.Sleep(flushTimeout - time.Millisecond)
		synctest.Wait()
		conn.want(t)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		conn.want(t, "part")

		writeAll(t, s, "more") // no buffering for a moment
		s.finishWrite()
		s.startWrite()
		writeAll(t, s, "and", "more")
		conn.want(t, "more", "and", "more")
		s.finishWrite()

		time.Sleep(unbufferedGrace)
		s.startWrite()
		writeAll(t, s, "to", "gether")
		s.finishWrite()
		conn.want(t, "together")
	})
}

func TestCoalescer_FlushesOverdueAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		s := &coalescer{conn: conn}
		s.startWrite()
		defer s.finishWrite()
		for range 3 {
			writeAll(t, s, "part")
			conn.want(t)
			time.Sleep(flushTimeout + time.Millisecond)
			synctest.Wait()
			conn.want(t, "part")
			time.Sleep(unbufferedGrace)
		}
	})
}

func TestCoalescer_FlushError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{broken: errors.New("broken")}
		s := &coalescer{conn: conn}
		s.startWrite()
		writeAll(t, s, "a")
		if err := s.finishWrite(); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Write([]byte("b")); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCoalescer_KeystrokeNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{}
		c := &connection{Conn: conn, writer: coalescer{conn: conn}}
		c.writer.startWrite()
		defer c.writer.finishWrite()
		writeAll(t, &c.writer, "much")
		if n, err := c.writeSession(&c.writer, []byte("k")); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		conn.want(t, "muchk")
	})
}

func TestCoalescer_UnbufferedError(t *testing.T) {
	conn := &recordingConn{broken: errors.New("broken")}
	s := &coalescer{conn: conn, unbufferedUntil: time.Now().Add(time.Hour)}
	s.startWrite()
	s.Write([]byte("a")) // x/crypto does not return the error
	if err := s.finishWrite(); !errors.Is(err, conn.broken) {
		t.Errorf("got %v", err)
	}
}

func TestCoalescer_SmallWriteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &recordingConn{broken: errors.New("broken")}
		c := &connection{Conn: conn, writer: coalescer{conn: conn}}
		c.writer.startWrite()
		defer c.writer.finishWrite()
		if _, err := c.writeSession(&c.writer, []byte("k")); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
	})
}
