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
	in := &stdinReader{
		src: p.Stdin, terminal: p.Terminal != nil, eofKey: ctrlD, state: r, running: r.running, exited: r.exited,
		done: done, lastByte: '\n',
	}
	if key, ok := p.Modes.Char(backends.ModeEOF); ok && hasShell {
		in.eofKey = key
	}
	return in
}

func (in *stdinReader) Read(b []byte) (int, error) {
	if in.chunks == nil {
		select {
		case <-in.running:
		case <-in.exited:
			return in.finish(b)
		case <-in.done:
			return 0, io.EOF
		}
		in.chunks = make(chan []byte)
		go in.pump()
	}
	select {
	case <-in.exited:
		return in.finish(b)
	default:
	}
	for len(in.pending) == 0 {
		if in.chunksClosed {
			return in.finish(b)
		}
		select {
		case chunk, more := <-in.chunks:
			switch {
			case !more:
				in.chunksClosed = true
				in.pending = in.eofKeys()
			case in.state.framed:
				in.pending = append(fmt.Appendln(nil, len(chunk)), chunk...)
			default:
				in.pending = chunk
			}
		case <-in.exited:
			return in.finish(b)
		case <-in.done:
			return 0, io.EOF
		}
	}
	return in.copyPending(b), nil
}

// copyPending moves pending bytes to b.
func (in *stdinReader) copyPending(b []byte) int {
	n := copy(b, in.pending)
	in.lastByte, in.pending = in.pending[n-1], in.pending[n:]
	return n
}

// finish returns the rest of the input and then EOF: the rest of the current frame and the end frame. With a
// terminal, EOF comes only when the connection closes: an earlier EOF would make Nomad drop pending output.
func (in *stdinReader) finish(b []byte) (int, error) {
	if in.state.hasStarted() && in.state.framed {
		if !in.endFrameSent {
			in.endFrameSent = true
			in.pending = append(in.pending, "0\n"...)
		}
		if len(in.pending) > 0 {
			return in.copyPending(b), nil
		}
	}
	if in.terminal {
		<-in.done
	}
	return 0, io.EOF
}

const ctrlD = 4

// eofKeys returns the keys that a terminal takes for EOF: one Ctrl-D at the start of a line, two elsewhere.
func (in *stdinReader) eofKeys() []byte {
	switch {
	case !in.terminal || in.eofKey == 0:
		return nil
	case in.lastByte == '\n' || in.lastByte == '\r':
		return []byte{in.eofKey}
	}
	return []byte{in.eofKey, in.eofKey}
}

// pump reads the source in its own goroutine, which may still be blocked in Read after the program has exited.
func (in *stdinReader) pump() {
	if in.src == nil {
		in.markComplete()
		return
	}
	for {
		buffer := make([]byte, 32<<10)
		n, err := in.src.Read(buffer)
		if n > 0 {
			select {
			case in.chunks <- buffer[:n]:
			case <-in.done:
				return
			}
		}
		if err == io.EOF {
			in.markComplete()
		}
		if err != nil { // a read error is not EOF: the program must not take partial input for complete
			return
		}
		select {
		case <-in.done:
			return
		default:
		}
	}
}

// markComplete records that the source has been read until EOF.
func (in *stdinReader) markComplete() {
	in.sourceEOF.Store(true)
	close(in.chunks)
}
