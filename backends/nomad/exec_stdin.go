package nomad

import (
	"fmt"
	"io"
	"sync/atomic"

	"nomadctld/backends"
)

// input is a program's stdin as the library reads it: nothing before the program has begun, for a terminal would show
// what is typed ahead before the mark; no error, for the library would take it for the program's end; and nothing to
// wait for once the program has ended. Where the wrapper wants it in frames, it comes in frames.
type input struct {
	from     io.Reader
	terminal bool
	endKey   byte // what a terminal takes for the end of input; 0: nothing
	program  *running
	begin    <-chan struct{} // closed: the program runs
	ended    <-chan struct{} // closed: it has ended; that is passed on as the end of input
	done     <-chan struct{} // closed: nobody reads any more

	complete atomic.Bool // all of the input has been read
	chunks   chan []byte
	rest     []byte
	last     byte
	eof      bool
	closed   bool // the last frame has been made
}

// newInput returns p's input; shell says that a shell has set the modes of p's terminal.
func newInput(p backends.Program, r *running, done <-chan struct{}, shell bool) *input {
	in := &input{from: p.Stdin, terminal: p.Terminal != nil, endKey: ctrlD, program: r, begin: r.runs, ended: r.ended, done: done, last: '\n'}
	if key, ok := p.Modes.Char(backends.ModeEOF); ok && shell {
		in.endKey = key
	}
	return in
}

func (in *input) Read(b []byte) (int, error) {
	if in.chunks == nil {
		select {
		case <-in.begin:
		case <-in.ended:
			return in.over(b)
		case <-in.done:
			return 0, io.EOF
		}
		in.chunks = make(chan []byte)
		go in.pump()
	}
	select {
	case <-in.ended:
		return in.over(b)
	default:
	}
	for len(in.rest) == 0 {
		if in.eof {
			return in.over(b)
		}
		select {
		case chunk, more := <-in.chunks:
			switch {
			case !more:
				in.eof = true
				in.rest = in.endOfFile()
			case in.program.framed:
				in.rest = append(fmt.Appendln(nil, len(chunk)), chunk...)
			default:
				in.rest = chunk
			}
		case <-in.ended:
			return in.over(b)
		case <-in.done:
			return 0, io.EOF
		}
	}
	return in.take(b), nil
}

// take moves what is next into b.
func (in *input) take(b []byte) int {
	n := copy(b, in.rest)
	in.last, in.rest = in.rest[n-1], in.rest[n:]
	return n
}

// over ends the input: the frame that has been begun is finished, and one says that it was the last. A terminal's end is
// not before that of all: closing it would drop output that is on its way.
func (in *input) over(b []byte) (int, error) {
	if in.program.hasBegun() && in.program.framed {
		if !in.closed {
			in.closed = true
			in.rest = append(in.rest, "0\n"...)
		}
		if len(in.rest) > 0 {
			return in.take(b), nil
		}
	}
	if in.terminal {
		<-in.done
	}
	return 0, io.EOF
}

const ctrlD = 4

// endOfFile is what a terminal takes for the end of input: at the beginning of a line one Ctrl-D, elsewhere two.
func (in *input) endOfFile() []byte {
	switch {
	case !in.terminal || in.endKey == 0:
		return nil
	case in.last == '\n' || in.last == '\r':
		return []byte{in.endKey}
	}
	return []byte{in.endKey, in.endKey}
}

// pump reads stdin. It is what may still wait there after the program has ended.
func (in *input) pump() {
	if in.from == nil {
		in.end()
		return
	}
	for {
		buffer := make([]byte, 32<<10)
		n, err := in.from.Read(buffer)
		if n > 0 {
			select {
			case in.chunks <- buffer[:n]:
			case <-in.done:
				return
			}
		}
		if err == io.EOF {
			in.end()
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

// end says that all of the input has been read.
func (in *input) end() {
	in.complete.Store(true)
	close(in.chunks)
}
