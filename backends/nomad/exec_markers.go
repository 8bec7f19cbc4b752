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
	maxPreamble = 4 << 10 // limit of buffered output that is not the program's

	// The wrapper writes a marker in one write, so the rest follows the first bytes immediately. A prefix of fewer than
	// minMarkerPrefix bytes that is followed by nothing for markerTimeout is the program's own output and is forwarded.
	// A longer one starts a marker.
	markerTimeout   = 2 * time.Second
	minMarkerPrefix = 6

	maxMarkerText = 24 // longest text of a marker
)

// markerFilter forwards the program's output on one stream: the bytes between the wrapper's start marker and end
// marker. A marker is \x01, a random number, a colon, a text and \x02. See wrapperScript.
type markerFilter struct {
	dst     io.Writer
	prefix  []byte // of both markers
	onStart func(state byte, pids string)
	onEnd   func(code int)
	onError func(error) // called for the first write error of dst
	muted   atomic.Bool // drop all further output

	mu          sync.Mutex // guards the fields below
	seenStart   bool
	seenEnd     bool
	buffered    []byte // may be the start of a marker
	forwarded   int    // bytes of buffered that have been forwarded after markerTimeout
	preamble    []byte // output before the start marker
	writeFailed bool
	timer       *time.Timer
}

func newMarkerFilter(dst io.Writer, marker string) *markerFilter {
	return &markerFilter{
		dst: dst, prefix: []byte("\x01" + marker + ":"),
		onStart: func(byte, string) {}, onEnd: func(int) {}, onError: func(error) {},
	}
}

// Write always succeeds, because the library ignores errors.
func (f *markerFilter) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	n := len(b)
	if len(f.buffered) > 0 {
		b = append(f.buffered, b...)
		f.buffered = nil
	}
	for len(b) > 0 && !f.seenEnd {
		at, text, rest, complete := f.findMarker(b)
		f.forward(b[:at])
		switch {
		case at == len(b):
			return n, nil
		case !complete:
			f.buffer(b[at:])
			return n, nil
		}
		f.forwarded, b = 0, rest
		f.handleMarker(text)
	}
	return n, nil
}

// findMarker returns the position and text of the first marker and the bytes after it. If there is no complete
// marker, at is the position of a possible start of one, or len(b).
func (f *markerFilter) findMarker(b []byte) (at int, text, rest []byte, complete bool) {
	for at = 0; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], f.prefix[0])
		if i < 0 {
			return len(b), nil, nil, false
		}
		at += i
		tail := b[at:]
		if len(tail) < len(f.prefix) {
			if bytes.HasPrefix(f.prefix, tail) {
				return at, nil, nil, false
			}
			continue
		}
		if !bytes.HasPrefix(tail, f.prefix) {
			continue
		}
		text = tail[len(f.prefix):]
		if end := bytes.IndexByte(text[:min(len(text), maxMarkerText)], 2); end >= 0 {
			return at, text[:end], text[end+1:], true
		}
		if len(text) < maxMarkerText {
			return at, nil, nil, false
		}
	}
	return len(b), nil, nil, false
}

// buffer stores a possible start of a marker.
func (f *markerFilter) buffer(b []byte) {
	f.buffered = bytes.Clone(b)
	if f.seenStart && len(b) < minMarkerPrefix {
		f.timer = time.AfterFunc(markerTimeout, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if n := len(f.buffered); f.seenStart && !f.seenEnd && n < minMarkerPrefix {
				f.forward(f.buffered)
				f.forwarded = n
			}
		})
	}
}

// forward writes b to dst, except the first bytes that have already been forwarded.
func (f *markerFilter) forward(b []byte) {
	if len(b) == 0 {
		return
	}
	known := min(f.forwarded, len(b))
	f.forwarded -= known
	b = b[known:]
	switch {
	case !f.seenStart:
		f.preamble = append(f.preamble, b[:min(len(b), maxPreamble-len(f.preamble))]...)
	case len(b) > 0 && !f.writeFailed && !f.muted.Load():
		if _, err := f.dst.Write(b); err != nil {
			f.writeFailed = true
			f.onError(err)
		}
	}
}

// handleMarker handles a marker: E and the exit code, or another state and the wrapper's process IDs.
func (f *markerFilter) handleMarker(text []byte) {
	if len(text) == 0 {
		return
	}
	switch state := text[0]; {
	case state != 'E' && !f.seenStart:
		f.seenStart = true
		if state != 'R' {
			f.muted.Store(true)
		}
		f.onStart(state, string(text[1:]))
	case state == 'E':
		f.seenEnd = true
		if code, err := strconv.Atoi(string(text[1:])); err == nil {
			f.onEnd(code)
		}
	}
}

// flush forwards the buffered bytes. It is called after the last Write.
func (f *markerFilter) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	if !f.seenEnd && f.seenStart {
		f.forward(f.buffered)
	}
	f.buffered = nil
}

// outputBeforeStart returns all output so far if the start marker has not arrived.
func (f *markerFilter) outputBeforeStart() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seenStart {
		return nil
	}
	return append(bytes.Clone(f.preamble), f.buffered...)
}
