package docker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"nomadctld/backends"
)

// entries is a container's log as the daemon sends it: one entry for a line, or for a part of a long one.
type entries struct {
	r     *bufio.Reader
	tty   bool // no frames: all is stdout
	timed bool // each entry begins with its time and a space

	buffer []byte
}

const (
	entryRead   = 32 << 10
	longestTime = 40
	partSize    = 16 << 10 // of a line that Docker cuts; without frames nothing else tells where the next part begins
	systemError = 3        // frames of this stream say why the daemon cannot go on
)

var errTime = fault("sends a log whose times cannot be read")

func newEntries(r io.Reader, tty, timed bool) *entries {
	return &entries{r: bufio.NewReaderSize(r, entryRead), tty: tty, timed: timed, buffer: make([]byte, entryRead)}
}

// each calls f with the log in pieces until its end; first is true for the first piece of an entry, which may be empty.
func (e *entries) each(f func(p backends.LogChunk, first bool) error) error {
	for {
		var err error
		switch {
		case !e.tty:
			err = e.frame(f)
		case e.timed:
			err = e.part(f)
		default:
			var n int
			if n, err = e.r.Read(e.buffer); n > 0 {
				if err := f(backends.LogChunk{Data: e.buffer[:n]}, true); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// frame reads one frame; io.EOF: there is none.
func (e *entries) frame(f func(backends.LogChunk, bool) error) error {
	var head [8]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return err
	}
	rest := int(binary.BigEndian.Uint32(head[4:]))
	var p backends.LogChunk
	switch {
	case head[1]|head[2]|head[3] != 0 || head[0] > systemError:
		return errUnreadable
	case head[0] == systemError:
		text, _ := io.ReadAll(io.LimitReader(e.r, int64(min(rest, longestText))))
		return faultf("cannot read the log: %s", firstLine(string(text)))
	}
	p.Stderr = head[0] == 2
	if e.timed {
		stamp, n, err := e.time(rest)
		if err != nil {
			return broken(err)
		}
		p.Time, rest = stamp, rest-n
	}
	for first := true; first || rest > 0; first = false {
		n, err := 0, error(nil)
		if rest > 0 {
			n, err = e.r.Read(e.buffer[:min(rest, len(e.buffer))])
		}
		p.Data, rest = e.buffer[:n], rest-n
		if err == nil || n > 0 {
			if err := f(p, first); err != nil {
				return err
			}
		}
		if err != nil && rest > 0 {
			return broken(err)
		}
	}
	return nil
}

// part reads one entry that has no frame; io.EOF: there is none.
func (e *entries) part(f func(backends.LogChunk, bool) error) error {
	if _, err := e.r.Peek(1); err != nil {
		return err
	}
	stamp, _, err := e.time(longestTime)
	if err != nil {
		return broken(err)
	}
	p := backends.LogChunk{Time: stamp}
	first, size := true, 0
	for at := 0; ; {
		c, err := e.r.ReadByte()
		if err == nil {
			e.buffer[at] = c
			at++
			size++
		}
		whole := err != nil || c == '\n' || size%partSize == 0
		if whole || at == len(e.buffer) || e.r.Buffered() == 0 {
			p.Data, at = e.buffer[:at], 0
			if err := f(p, first); err != nil {
				return err
			}
			first = false
		}
		if err != nil {
			return err
		}
		if whole && (c == '\n' || e.atTime()) {
			return nil
		}
	}
}

// atTime reports whether a time comes next.
func (e *entries) atTime() bool {
	next, _ := e.r.Peek(len(timeFormat) + 1)
	if len(next) <= len(timeFormat) || next[len(timeFormat)] != ' ' {
		return false
	}
	_, err := time.Parse(timeFormat, string(next[:len(timeFormat)]))
	return err == nil
}

// timeFormat is how Docker writes times in logs.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// time reads a time and the space after it, of n bytes together, which are at most so many.
func (e *entries) time(most int) (stamp time.Time, n int, err error) {
	var text [longestTime]byte
	for n < min(most, longestTime) {
		c, err := e.r.ReadByte()
		if err != nil {
			return stamp, n, err
		}
		n++
		if c == ' ' {
			if stamp, err = time.Parse(time.RFC3339Nano, string(text[:n-1])); err != nil {
				return stamp, n, errTime
			}
			return stamp, n, nil
		}
		text[n-1] = c
	}
	return stamp, n, errTime
}

// broken is an end where none should be.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
