package docker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"nomadctld/backends"
)

// entryReader parses a container's log as the daemon sends it. An entry is one line, or a part of a long line.
type entryReader struct {
	r     *bufio.Reader
	tty   bool // no frames; everything is stdout
	timed bool // each entry starts with its time and a space

	buffer []byte
}

const (
	entryBufferSize   = 32 << 10
	maxTimeLen        = 40
	maxPartSize       = 16 << 10 // Docker splits lines here; without frames only the size shows where a part ends
	systemErrorStream = 3        // frames of this stream have the daemon's error
)

var errBadTime = daemonError("returned a log with invalid timestamps")

// newEntryReader returns a reader of the log in r.
func newEntryReader(r io.Reader, tty, timed bool) *entryReader {
	return &entryReader{
		r: bufio.NewReaderSize(r, entryBufferSize), tty: tty, timed: timed, buffer: make([]byte, entryBufferSize),
	}
}

// each calls f with the log in chunks. first is true for the first chunk of an entry, which may be empty, or for every
// chunk if entries cannot be told apart.
func (e *entryReader) each(f func(p backends.LogChunk, first bool) error) error {
	for {
		var err error
		switch {
		case !e.tty:
			err = e.readFrame(f)
		case e.timed:
			err = e.readTTYEntry(f)
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

// readFrame reads one frame. It returns io.EOF at the end of the log.
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

// readTTYEntry reads one entry without a frame. It returns io.EOF at the end of the log.
func (e *entryReader) readTTYEntry(f func(backends.LogChunk, bool) error) error {
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

// timeFormat is the format of times in Docker's logs.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// readTime reads a time and the space after it, at most maxLen bytes. n is the number of bytes read.
func (e *entryReader) readTime(maxLen int) (stamp time.Time, n int, err error) {
	var text [maxTimeLen]byte
	for n < min(maxLen, maxTimeLen) {
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

// unexpectedEOF returns io.ErrUnexpectedEOF for io.EOF, and other errors unchanged.
func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
