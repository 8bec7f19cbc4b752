package linequeue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stalledStream is a stream whose reader does not read until read is called.
type stalledStream struct {
	mu   sync.Mutex
	free *sync.Cond
	open bool
	got  bytes.Buffer
}

func newStalledStream() *stalledStream {
	s := &stalledStream{}
	s.free = sync.NewCond(&s.mu)
	return s
}

func (s *stalledStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.open {
		s.free.Wait()
	}
	return s.got.Write(p)
}

func (s *stalledStream) read() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	s.free.Broadcast()
}

func (s *stalledStream) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func TestQueue_StalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newStalledStream()
		q := New(out)
		q.MaxBytes = 100
		q.DropReport = func(n int) []byte { return fmt.Appendf(nil, "%d lines lost\n", n) }
		begin := time.Now()
		if err := q.Commit([]byte("first\n")); !errors.Is(err, ErrStalled) {
			t.Errorf("Commit: got %v, want ErrStalled", err)
		}
		if waited := time.Since(begin); waited != defaultTimeout {
			t.Errorf("the first line waited %v, want %v", waited, defaultTimeout)
		}
		for i := range 50 {
			if err := q.Commit([]byte("committed\n")); !errors.Is(err, ErrStalled) {
				t.Errorf("Commit: got %v, want ErrStalled", err)
			}
			_ = q.Deliver(fmt.Appendf(nil, "line %d\n", i), nil)
			q.Write([]byte("log\n"))
		}
		if waited := time.Since(begin); waited != defaultTimeout {
			t.Errorf("all lines waited %v, want %v: only the first may wait", waited, defaultTimeout)
		}
		if err := q.Deliver([]byte("does not fit\n"), nil); !errors.Is(err, ErrStalled) {
			t.Errorf("Deliver to a full queue: got %v, want ErrStalled", err)
		}
		out.read()
		q.Flush(time.Minute)
		if q.Stalled() {
			t.Error("still stalled after the reader has read")
		}
		if err := q.Commit([]byte("last\n")); err != nil {
			t.Errorf("Commit: got %v, want nil", err)
		}
		text := out.text()
		if strings.Contains(text, "committed") || !strings.HasPrefix(text, "first\nline 0\nlog\n") ||
			!strings.HasSuffix(text, "lines lost\nlast\n") {
			t.Errorf("got %q", text)
		}
	})
}

func TestCommit_WithdrawsUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newStalledStream()
		q := New(out)
		q.Write([]byte("log\n")) // its write has started
		if err := q.Commit([]byte("never\n")); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v, want ErrStalled", err)
		}
		out.read()
		q.Flush(time.Minute)
		if got := out.text(); got != "log\n" {
			t.Errorf("got %q, want only the log's line", got)
		}
	})
}

// limitedWriter is a stream that accepts a limited number of bytes.
type limitedWriter struct {
	bytes.Buffer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n := min(l.left, len(p))
	l.left -= n
	l.Buffer.Write(p[:n])
	if n < len(p) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

func TestCommit_FailsAtEveryOffset(t *testing.T) {
	const text = "a line\n"
	for left := range len(text) {
		out := &limitedWriter{left: left}
		q := New(out)
		if err := q.Commit([]byte(text)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%d bytes: got %v, want the error of the write", left, err)
		}
		out.left = 1000
		if err := q.Commit([]byte(text)); err != nil {
			t.Errorf("%d bytes: got %v, want nil", left, err)
		}
		if lines := strings.Split(out.String(), "\n"); lines[len(lines)-2]+"\n" != text {
			t.Errorf("%d bytes: got %q, want a whole last line", left, out.String())
		}
	}
}

// brokenStream is a stream whose reader exits without having read anything.
type brokenStream struct {
	*stalledStream
	exited bool
}

func (e *brokenStream) Write(p []byte) (int, error) {
	n, err := e.stalledStream.Write(p)
	if e.exited {
		n, err = 0, io.ErrClosedPipe
	}
	return n, err
}

func TestDeliver_FailsAfterReturn(t *testing.T) {
	for _, tc := range []struct {
		name  string
		exits bool // the reader exits; false: it stalls
		want  error
	}{
		{"the reader exits", true, io.ErrClosedPipe},
		{"the reader stalls", false, ErrStalled},
	} {
		synctest.Test(t, func(t *testing.T) {
			out := &brokenStream{stalledStream: newStalledStream(), exited: tc.exits}
			q := New(out)
			var failed []string
			for i := range 3 {
				if err := q.Deliver(fmt.Appendf(nil, "%d\n", i), func(err error) {
					if !errors.Is(err, tc.want) {
						t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
					}
					failed = append(failed, fmt.Sprint(i))
					q.Write([]byte("log\n")) // a log may write to the same stream
				}); err != nil {
					t.Errorf("%s: got %v while the line is queued", tc.name, err)
				}
			}
			if tc.exits {
				out.read()
			}
			q.Flush(time.Second)
			out.read()
			q.Flush(time.Minute)
			synctest.Wait()
			if got := strings.Join(failed, " "); got != "0 1 2" {
				t.Errorf("%s: got the failed lines %q, want 0 1 2", tc.name, got)
			}
		})
	}
}

func TestDeliver_FailsOnce(t *testing.T) {
	q := New(&limitedWriter{})
	if err := q.Deliver([]byte("a line\n"), func(error) { t.Error("onFail was called too") }); !errors.Is(err,
		io.ErrClosedPipe) {
		t.Errorf("got %v, want the error of the write", err)
	}
}

func TestQueue_LostDropReport(t *testing.T) {
	out := &limitedWriter{}
	q := New(out)
	q.DropReport = func(n int) []byte { return fmt.Appendf(nil, "%d lines lost\n", n) }
	for range 4 {
		_ = q.Deliver([]byte("a line\n"), nil) // from the second line on, each is preceded by a report
	}
	out.left = 1000
	_ = q.Deliver([]byte("last\n"), nil)
	if got := out.String(); got != "4 lines lost\nlast\n" {
		t.Errorf("got %q, want 4 lines lost", got)
	}
}
