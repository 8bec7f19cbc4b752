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

// noted is a connection that notes what is written to it.
type noted struct {
	net.Conn
	broken error

	mu     sync.Mutex
	writes []string
}

func (n *noted) Write(p []byte) (int, error) {
	if n.broken != nil {
		return 0, n.broken
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes = append(n.writes, string(p))
	return len(p), nil
}

func (n *noted) want(t *testing.T, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.writes, want) {
		t.Errorf("written %d times, want %d: %.60q", len(n.writes), len(want), n.writes)
	}
	n.writes = nil
}

func say(t *testing.T, s *sender, words ...string) {
	t.Helper()
	for _, word := range words {
		if n, err := s.Write([]byte(word)); n != len(word) || err != nil {
			t.Errorf("%.20q: %d, %v", word, n, err)
		}
	}
}

func TestWhatASessionWritesIsSentInOnePiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		s := &sender{conn: conn}
		say(t, s, "hello ", "world")
		conn.want(t, "hello ", "world")

		s.begin()
		say(t, s, "a", "b", "c")
		conn.want(t)
		if err := s.end(); err != nil {
			t.Error(err)
		}
		conn.want(t, "abc")
		say(t, s, "d")
		conn.want(t, "d")
	})
}

func TestWhatIsHeldBackIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		s := &sender{conn: conn}
		half, huge := strings.Repeat("x", heldMost/2), strings.Repeat("y", heldMost+1)
		s.begin()
		say(t, s, "1", half, half, huge, "2")
		s.end()
		conn.want(t, "1"+half, half, huge, "2")
	})
}

func TestSessionsDoNotHoldEachOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		s := &sender{conn: conn}
		s.begin()
		s.begin()
		say(t, s, "a", "b")
		s.end()
		conn.want(t, "ab")
		say(t, s, "c")
		conn.want(t)
		s.end()
		conn.want(t, "c")
	})
}

func TestAWriteThatWaitsForTheClientHoldsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		s := &sender{conn: conn}
		s.begin()
		say(t, s, "part")
		time.Sleep(heldLongest - time.Millisecond)
		synctest.Wait()
		conn.want(t)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		conn.want(t, "part")

		say(t, s, "more") // nor what comes in the next moments
		s.end()
		s.begin()
		say(t, s, "and", "more")
		conn.want(t, "more", "and", "more")
		s.end()

		time.Sleep(restAfter)
		s.begin()
		say(t, s, "to", "gether")
		s.end()
		conn.want(t, "together")
	})
}

func TestAWriteThatWaitsAgainHoldsNothingBackEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		s := &sender{conn: conn}
		s.begin()
		defer s.end()
		for range 3 {
			say(t, s, "part")
			conn.want(t)
			time.Sleep(heldLongest + time.Millisecond)
			synctest.Wait()
			conn.want(t, "part")
			time.Sleep(restAfter)
		}
	})
}

func TestAConnectionThatBreaksFailsTheWriteThatItSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{broken: errors.New("broken")}
		s := &sender{conn: conn}
		s.begin()
		say(t, s, "a")
		if err := s.end(); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Write([]byte("b")); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAKeyIsNotHeldBackByWhatAnotherSessionWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{}
		c := &connection{Conn: conn, out: sender{conn: conn}}
		c.out.begin()
		defer c.out.end()
		say(t, &c.out, "much")
		if n, err := c.send(&c.out, []byte("k")); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		conn.want(t, "muchk")
	})
}

func TestAConnectionThatBreaksFailsWhatIsNotHeldBack(t *testing.T) {
	conn := &noted{broken: errors.New("broken")}
	s := &sender{conn: conn, rest: time.Now().Add(time.Hour)}
	s.begin()
	s.Write([]byte("a")) // x/crypto keeps the error to itself
	if err := s.end(); !errors.Is(err, conn.broken) {
		t.Errorf("got %v", err)
	}
}

func TestAConnectionThatBreaksFailsASmallWriteBesideAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &noted{broken: errors.New("broken")}
		c := &connection{Conn: conn, out: sender{conn: conn}}
		c.out.begin()
		defer c.out.end()
		if _, err := c.send(&c.out, []byte("k")); !errors.Is(err, conn.broken) {
			t.Errorf("got %v", err)
		}
	})
}
