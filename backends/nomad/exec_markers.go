package nomad

import (
	"bytes"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostJunk = 4 << 10 // kept of what comes before the program's output

	// A mark comes in one write, so what follows its beginning is there at once, or it was a program's byte that only
	// looks like one. A few bytes are enough to tell, and more can only be of a mark.
	markWait = 2 * time.Second
	sureOf   = 6
)

// strainer passes on what a program wrote to one stream: what is between the wrapper's two marks, and no byte of these.
type strainer struct {
	to   io.Writer
	mark []byte // what both marks begin with

	mu      sync.Mutex
	began   bool
	ended   bool
	held    []byte // may become a mark
	passed  int    // how much of held has been passed on because nothing came after it
	junk    []byte
	started func(state byte, pid string)
	end     func(code int)
	failed  func(error) // what to does not take
	broken  bool
	timer   *time.Timer
	off     atomic.Bool // nothing more goes through
}

func newStrainer(to io.Writer, mark string) *strainer {
	return &strainer{
		to: to, mark: []byte("\x01" + mark + ":"),
		started: func(byte, string) {}, end: func(int) {}, failed: func(error) {},
	}
}

// Write takes everything, always: the library does not look at errors.
func (s *strainer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	n := len(b)
	if len(s.held) > 0 {
		b = append(s.held, b...)
		s.held = nil
	}
	for len(b) > 0 && !s.ended {
		at, word, rest, whole := s.find(b)
		s.pass(b[:at])
		switch {
		case at == len(b):
			return n, nil
		case !whole:
			s.hold(b[at:])
			return n, nil
		}
		s.passed, b = 0, rest
		s.marked(word)
	}
	return n, nil
}

// find returns where the first mark begins, what it says and what follows it. Without a whole one, at is where one may
// have begun, or the end.
func (s *strainer) find(b []byte) (at int, word, rest []byte, whole bool) {
	for at = 0; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], s.mark[0])
		if i < 0 {
			return len(b), nil, nil, false
		}
		at += i
		tail := b[at:]
		if len(tail) < len(s.mark) {
			if bytes.HasPrefix(s.mark, tail) {
				return at, nil, nil, false
			}
			continue
		}
		if !bytes.HasPrefix(tail, s.mark) {
			continue
		}
		const mostWord = 24
		word = tail[len(s.mark):]
		if end := bytes.IndexByte(word[:min(len(word), mostWord)], 2); end >= 0 {
			return at, word[:end], word[end+1:], true
		}
		if len(word) < mostWord {
			return at, nil, nil, false
		}
	}
	return len(b), nil, nil, false
}

// hold keeps what may become a mark.
func (s *strainer) hold(b []byte) {
	s.held = bytes.Clone(b)
	if s.began && len(b) < sureOf {
		s.timer = time.AfterFunc(markWait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if held := len(s.held); s.began && !s.ended && held < sureOf {
				s.pass(s.held)
				s.passed = held
			}
		})
	}
}

// pass passes on b, of which the first bytes may have been passed on already.
func (s *strainer) pass(b []byte) {
	if len(b) == 0 {
		return
	}
	known := min(s.passed, len(b))
	s.passed -= known
	b = b[known:]
	switch {
	case !s.began:
		s.junk = append(s.junk, b[:min(len(b), mostJunk-len(s.junk))]...)
	case len(b) > 0 && !s.broken && !s.off.Load():
		if _, err := s.to.Write(b); err != nil {
			s.broken = true
			s.failed(err)
		}
	}
}

func (s *strainer) marked(word []byte) {
	if len(word) == 0 {
		return
	}
	switch state := word[0]; {
	case state != 'E' && !s.began:
		s.began = true
		if state != 'R' {
			s.off.Store(true)
		}
		s.started(state, string(word[1:]))
	case state == 'E':
		s.ended = true
		if code, err := strconv.Atoi(string(word[1:])); err == nil {
			s.end(code)
		}
	}
}

// finish passes on what was held back. It is called when nothing is written any more.
func (s *strainer) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	if !s.ended && s.began {
		s.pass(s.held)
	}
	s.held = nil
}

// before returns what came before the program's output, if it has not begun.
func (s *strainer) before() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return nil
	}
	return append(bytes.Clone(s.junk), s.held...)
}
