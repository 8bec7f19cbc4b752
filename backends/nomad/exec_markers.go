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
	maxPreamble = 4 << 10 // kept of what comes before the program's output

	// A mark comes in one write, so what follows its beginning is there at once, or it was a program's byte that only
	// looks like one. A few bytes are enough to tell, and more can only be of a mark.
	markerTimeout   = 2 * time.Second
	minMarkerPrefix = 6
)

// markerFilter passes on what a program wrote to one stream: what is between the wrapper's two marks, and no byte of these.
type markerFilter struct {
	dst    io.Writer
	prefix []byte // what both marks begin with

	mu          sync.Mutex
	seenStart   bool
	seenEnd     bool
	buffered    []byte // may become a mark
	forwarded   int    // how much of held has been passed on because nothing came after it
	preamble    []byte
	onStart     func(state byte, pid string)
	onEnd       func(code int)
	onError     func(error) // what to does not take
	writeFailed bool
	timer       *time.Timer
	muted       atomic.Bool // nothing more goes through
}

func newMarkerFilter(to io.Writer, mark string) *markerFilter {
	return &markerFilter{
		dst: to, prefix: []byte("\x01" + mark + ":"),
		onStart: func(byte, string) {}, onEnd: func(int) {}, onError: func(error) {},
	}
}

// Write takes everything, always: the library does not look at errors.
func (s *markerFilter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	n := len(b)
	if len(s.buffered) > 0 {
		b = append(s.buffered, b...)
		s.buffered = nil
	}
	for len(b) > 0 && !s.seenEnd {
		at, word, rest, whole := s.findMarker(b)
		s.forward(b[:at])
		switch {
		case at == len(b):
			return n, nil
		case !whole:
			s.buffer(b[at:])
			return n, nil
		}
		s.forwarded, b = 0, rest
		s.handleMarker(word)
	}
	return n, nil
}

// findMarker returns where the first mark begins, what it says and what follows it. Without a whole one, at is where one may
// have begun, or the end.
func (s *markerFilter) findMarker(b []byte) (at int, word, rest []byte, whole bool) {
	for at = 0; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], s.prefix[0])
		if i < 0 {
			return len(b), nil, nil, false
		}
		at += i
		tail := b[at:]
		if len(tail) < len(s.prefix) {
			if bytes.HasPrefix(s.prefix, tail) {
				return at, nil, nil, false
			}
			continue
		}
		if !bytes.HasPrefix(tail, s.prefix) {
			continue
		}
		const mostWord = 24
		word = tail[len(s.prefix):]
		if end := bytes.IndexByte(word[:min(len(word), mostWord)], 2); end >= 0 {
			return at, word[:end], word[end+1:], true
		}
		if len(word) < mostWord {
			return at, nil, nil, false
		}
	}
	return len(b), nil, nil, false
}

// buffer keeps what may become a mark.
func (s *markerFilter) buffer(b []byte) {
	s.buffered = bytes.Clone(b)
	if s.seenStart && len(b) < minMarkerPrefix {
		s.timer = time.AfterFunc(markerTimeout, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if held := len(s.buffered); s.seenStart && !s.seenEnd && held < minMarkerPrefix {
				s.forward(s.buffered)
				s.forwarded = held
			}
		})
	}
}

// forward passes on b, of which the first bytes may have been passed on already.
func (s *markerFilter) forward(b []byte) {
	if len(b) == 0 {
		return
	}
	known := min(s.forwarded, len(b))
	s.forwarded -= known
	b = b[known:]
	switch {
	case !s.seenStart:
		s.preamble = append(s.preamble, b[:min(len(b), maxPreamble-len(s.preamble))]...)
	case len(b) > 0 && !s.writeFailed && !s.muted.Load():
		if _, err := s.dst.Write(b); err != nil {
			s.writeFailed = true
			s.onError(err)
		}
	}
}

func (s *markerFilter) handleMarker(word []byte) {
	if len(word) == 0 {
		return
	}
	switch state := word[0]; {
	case state != 'E' && !s.seenStart:
		s.seenStart = true
		if state != 'R' {
			s.muted.Store(true)
		}
		s.onStart(state, string(word[1:]))
	case state == 'E':
		s.seenEnd = true
		if code, err := strconv.Atoi(string(word[1:])); err == nil {
			s.onEnd(code)
		}
	}
}

// flush passes on what was held back. It is called when nothing is written any more.
func (s *markerFilter) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	if !s.seenEnd && s.seenStart {
		s.forward(s.buffered)
	}
	s.buffered = nil
}

// unstartedOutput returns what came before the program's output, if it has not begun.
func (s *markerFilter) unstartedOutput() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seenStart {
		return nil
	}
	return append(bytes.Clone(s.preamble), s.buffered...)
}
