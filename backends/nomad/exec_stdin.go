package nomad

import (
	"fmt"
	"io"
	"sync/atomic"

	"nomadctld/backends"
)

// stdinReader is a program's stdin as the library reads it: nothing before the program has begun, for a terminal would show
// what is typed ahead before the mark; no error, for the library would take it for the program's end; and nothing to
// wait for once the program has ended. Where the wrapper wants it in frames, it comes in frames.
type stdinReader struct {
	src      io.Reader
	terminal bool
	eofKey   byte // what a terminal takes for the end of input; 0: nothing
	state    *programState
	started  <-chan struct{} // closed: the program runs
	exited   <-chan struct{} // closed: it has ended; that is passed on as the end of input
	done     <-chan struct{} // closed: nobody reads any more

	complete     atomic.Bool // all of the input has been read
	chunks       chan []byte
	pending      []byte
	last         byte
	eof          bool
	endFrameSent bool // the last frame has been made
}

// newStdinReader returns p's input; shell says that a shell has set the modes of p's terminal.
func newStdinReader(p backends.Program, r *programState, done <-chan struct{}, shell bool) *stdinReader {
	in := &stdinReader{src: p.Stdin, terminal: p.Terminal != nil, eofKey: ctrlD, state: r, started: r.running, exited: r.exited, done: done, last: '\n'}
	if key, ok := p.Modes.Char(backends.ModeEOF); ok && shell {
		in.eofKey = key
	}
	return in
}

func (in *stdinReader) Read(b []byte) (int, error) {
	if in.chunks == nil {
		select {
		case <-in.started:
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
		if in.eof {
			return in.finish(b)
		}
		select {
		case chunk, more := <-in.chunks:
			switch {
			case !more:
				in.eof = true
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

// copyPending moves what is next into b.
func (in *stdinReader) copyPending(b []byte) int {
	n := copy(b, in.pending)
	in.last, in.pending = in.pending[n-1], in.pending[n:]
	return n
}

// finish ends the input: the frame that has been begun is finished, and one says that it was the last. A terminal's end is
// not before that of all: closing it would drop output that is on its way.
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

// eofKeys is what a terminal takes for the end of input: at the beginning of a line one Ctrl-D, elsewhere two.
func (in *stdinReader) eofKeys() []byte {
	switch {
	case !in.terminal || in.eofKey == 0:
		return nil
	case in.last == '\n' || in.last == '\r':
		return []byte{in.eofKey}
	}
	return []byte{in.eofKey, in.eofKey}
}

// pump reads stdin. It is what may still wait there after the program has ended.
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
		if err != nil { // input that broke off has no end
			return
		}
		select {
		case <-in.done:
			return
		default:
		}
	}
}

// markComplete says that all of the input has been read.
func (in *stdinReader) markComplete() {
	in.complete.Store(true)
	close(in.chunks)
}
