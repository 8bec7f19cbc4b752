package docker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"nomadctld/backends"
)

// entryReader is a container's log as the daemon sends it: one entry for a line, or for a part of a long one.
type entryReader struct {
	r     *bufio.Reader
	tty   bool // no frames: all is stdout
	timed bool // each entry begins with its time and a space

	buffer []byte
}

const (
	entryBufferSize   = 32 << 10
	maxTimeLen        = 40
	maxPartSize       = 16 << 10 // of a line that Docker cuts; without frames nothing else tells where the next part begins
	systemErrorStream = 3        // frames of this stream say why the daemon cannot go on
)

var errBadTime = daemonError("sends a log whose times cannot be read")

func newEntryReader(r io.Reader, tty, timed bool) *entryReader {
	return &entryReader{r: bufio.NewReaderSize(r, entryBufferSize), tty: tty, timed: timed, buffer: make([]byte, entryBufferSize)}
}

// each calls f with the log in pieces until its end; first is true for the first piece of an entry, which may be empty.
func (e *entryReader) each(f func(p backends.LogChunk, first bool) error) error {
	for {
		var err error
		switch {
		case !e.tty:
			err = e.readFrame(f)
		case e.timed:
			err = e.readPart(f)
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

// readFrame reads one frame; io.EOF: there is none.
func (e *entryReader) readFrame(f func(backends.LogChunk, bool) error) error {
	var head [8]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return err
	}
	rest := int(binary.BigEndian.Uint32(head[4:]))
	var p backends.LogChunk
	switch {
	case head[1]|head[2]|head[3] != 0 || head[0] > systemErrorStream:
		return errBadResponse
	case head[0] == systemErrorStream:
		text, _ := io.ReadAll(io.LimitReader(e.r, int64(min(rest, maxErrorText))))
		return daemonErrorf("cannot read the log: %s", firstLine(string(text)))
	}
	p.Stderr = head[0] == 2
	if e.timed {
		stamp, n, err := e.readTime(rest)
		if err != nil {
			return unexpectedEOF(err)
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
			return unexpectedEOF(err)
		}
	}
	return nil
}

// readPart reads one entry that has no frame; io.EOF: there is none.
func (e *entryReader) readPart(f func(backends.LogChunk, bool) error) error {
	if _, err := e.r.Peek(1); err != nil {
		return err
	}
	stamp, _, err := e.readTime(maxTimeLen)
	if err != nil {
		return unexpectedEOF(err)
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
		whole := err != nil || c == '\n' || size%maxPartSize == 0
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
		if whole && (c == '\n' || e.nextIsTime()) {
			return nil
		}
	}
}

// nextIsTime reports whether a time comes next.
func (e *entryReader) nextIsTime() bool {
	next, _ := e.r.Peek(len(timeFormat) + 1)
	if len(next) <= len(timeFormat) || next[len(timeFormat)] != ' ' {
		return false
	}
	_, err := time.Parse(timeFormat, string(next[:len(timeFormat)]))
	return err == nil
}

// timeFormat is how Docker writes times in logs.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// readTime reads a time and the space after it, of n bytes together, which are at most so many.
func (e *entryReader) readTime(most int) (stamp time.Time, n int, err error) {
	var text [maxTimeLen]byte
	for n < min(most, maxTimeLen) {
		c, err := e.r.ReadByte()
		if err != nil {
			return stamp, n, err
		}
		n++
		if c == ' ' {
			if stamp, err = time.Parse(time.RFC3339Nano, string(text[:n-1])); err != nil {
				return stamp, n, errBadTime
			}
			return stamp, n, nil
		}
		text[n-1] = c
	}
	return stamp, n, errBadTime
}

// unexpectedEOF is an end where none should be.
func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
