package nomad

import (
	"fmt"
	"io"
	"sync/atomic"

	"nomadctld/backends"
)

// stdinReader adapts a program's stdin to Nomad's API library, which reads it. It returns nothing before the program
// is running, because a terminal would echo typed-ahead input before the start marker. It does not return errors of
// the source, because the library would take them for the program's exit. It returns EOF when the program has exited.
// If the wrapper expects frames, it returns frames.
type stdinReader struct {
	src      io.Reader
	terminal bool
	eofKey   byte // the terminal's EOF character; 0: none
	state    *programState
	running  <-chan struct{} // closed when the program is running
	exited   <-chan struct{} // closed when the program has exited
	done     <-chan struct{} // closed when the library does not read any more

	sourceEOF    atomic.Bool // the source has been read until EOF
	chunks       chan []byte
	pending      []byte
	lastByte     byte
	chunksClosed bool
	endFrameSent bool // the end frame is in pending or has been read
}

// newStdinReader returns a reader for p's input. hasShell reports whether a shell has set the modes of p's terminal.
func newStdinReader(p backends.Program, r *programState, done <-chan struct{}, hasShell bool) *stdinReader {
	s := &stdinReader{
		src: p.Stdin, terminal: p.Terminal != nil, eofKey: ctrlD, state: r, running: r.running, exited: r.exited,
		done: done, lastByte: '\n',
	}
	if key, ok := p.Modes.Char(backends.ModeEOF); ok && hasShell {
		s.eofKey = key
	}
	return s
}

func (s *stdinReader) Read(b []byte) (int, error) {
	if s.chunks == nil {
		select {
		case <-s.running:
		case <-s.exited:
			return s.finish(b)
		case <-s.done:
			return 0, io.EOF
		}
		s.chunks = make(chan []byte)
		go s.pump()
	}
	select {
	case <-s.exited:
		return s.finish(b)
	default:
	}
	for len(s.pending) == 0 {
		if s.chunksClosed {
			return s.finish(b)
		}
		select {
		case chunk, more := <-s.chunks:
			switch {
			case !more:
				s.chunksClosed = true
				s.pending = s.eofKeys()
			case s.state.framed:
				s.pending = append(fmt.Appendln(nil, len(chunk)), chunk...)
			default:
				s.pending = chunk
			}
		case <-s.exited:
			return s.finish(b)
		case <-s.done:
			return 0, io.EOF
		}
	}
	return s.copyPending(b), nil
}

// copyPending moves pending bytes to b.
func (s *stdinReader) copyPending(b []byte) int {
	n := copy(b, s.pending)
	s.lastByte, s.pending = s.pending[n-1], s.pending[n:]
	return n
}

// finish returns EOF. With frames, it first returns the rest of the current frame and the end frame. With a terminal,
// it waits until the connection closes, because an earlier EOF would make Nomad drop pending output.
func (s *stdinReader) finish(b []byte) (int, error) {
	if s.state.hasStarted() && s.state.framed {
		if !s.endFrameSent {
			s.endFrameSent = true
			s.pending = append(s.pending, "0\n"...)
		}
		if len(s.pending) > 0 {
			return s.copyPending(b), nil
		}
	}
	if s.terminal {
		<-s.done
	}
	return 0, io.EOF
}

const ctrlD = 4

// eofKeys returns the keys that a terminal interprets as EOF: its EOF key once at the start of a line, twice elsewhere.
func (s *stdinReader) eofKeys() []byte {
	switch {
	case !s.terminal || s.eofKey == 0:
		return nil
	case s.lastByte == '\n' || s.lastByte == '\r':
		return []byte{s.eofKey}
	}
	return []byte{s.eofKey, s.eofKey}
}

// pump reads the source in its own goroutine, which may still be blocked in Read after the program has exited.
func (s *stdinReader) pump() {
	if s.src == nil {
		s.markComplete()
		return
	}
	for {
		buffer := make([]byte, 32<<10)
		n, err := s.src.Read(buffer)
		if n > 0 {
			select {
			case s.chunks <- buffer[:n]:
			case <-s.done:
				return
			}
		}
		if err == io.EOF {
			s.markComplete()
		}
		if err != nil { // a read error is not EOF: the program must not take partial input for complete
			return
		}
		select {
		case <-s.done:
			return
		default:
		}
	}
}

// markComplete records that the source has been read until EOF.
func (s *stdinReader) markComplete() {
	s.sourceEOF.Store(true)
	close(s.chunks)
}
