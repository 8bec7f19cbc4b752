package docker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nomadctld/backends"
)

// output takes what comes on a stream, and writes it to where it belongs.
type output struct {
	demuxer
	classify func() outputKind // asked once, before the first byte is written. May be nil
	broken   chan struct{}     // closed by fail
	conn     *streamConn

	idleSince        atomic.Int64 // since when nothing comes, in Unix nanoseconds; 0: something is being written
	writing          atomic.Bool
	draining         atomic.Bool
	drainIdleTimeout time.Duration // without a byte, while it is drained: all that was underway has come

	readMu   sync.Mutex   // held by who reads the stream
	ahead    bytes.Buffer // what was read before it could be written
	aheadErr error        // how the stream ended behind that; nil: it has not

	classified   bool
	uncertain    []byte // what came while it was doubtful; nil: it is not
	isStartError bool   // the output was the reason why the program was not started
	errorText    []byte // an error's
	failOnce     sync.Once
	failure      error // of fail. Read it with failed
	readErr      error // why nothing more comes; nil: the stream has ended, or was drained
}

const (
	smallRead = 8 << 10
	largeRead = 256 << 10

	maxErrorText = 4 << 10

	maxDrainTime  = 30 * time.Second // spent waiting, in all
	maxDrainBytes = 16 << 20         // more than can be underway

	readAheadTimeout = 100 * time.Millisecond // for which a read may hold up who could write again
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

func newOutput(stdout, stderr io.Writer, raw bool) *output {
	o := &output{broken: make(chan struct{}), drainIdleTimeout: time.Second}
	o.raw, o.outputs = raw, [2]io.Writer{stdout, stderr}
	return o
}

// Write takes what the library has read together with the head of the answer.
func (o *output) Write(p []byte) (int, error) {
	o.guard(func() { o.consume(p) })()
	return len(p), nil
}

// fail reports that the stream is of no use any more. Only the first error counts.
func (o *output) fail(err error) {
	o.failOnce.Do(func() {
		o.failure = err
		close(o.broken)
	})
}

// failed returns the error of fail, or nil.
func (o *output) failed() error {
	select {
	case <-o.broken:
		return o.failure
	default:
		return nil
	}
}

// guard returns a function that calls f and fails the output if f panics. It belongs around everything that serves the
// stream in another goroutine than the caller's, including go-dockerclient's.
func (o *output) guard(f func()) func() {
	return func() {
		if err := backends.Protect(func() error { f(); return nil }); err != nil {
			o.fail(err)
		}
	}
}

// ReadFrom reads r to its end, also after the outputs have failed: the program shall not wait for a reader that is gone.
// The buffer is small as long as little comes, because most streams are idle most of the time.
func (o *output) ReadFrom(r io.Reader) (read int64, err error) {
	o.guard(func() { read, err = o.readFrom(r) })()
	return read, err
}

func (o *output) readFrom(r io.Reader) (read int64, err error) {
	buffers := &smallBuffers
	buffer := buffers.Get().(*[]byte)
	defer func() { buffers.Put(buffer) }()
	var waited time.Duration
	var drained int
	gathering := readDelay{start: time.Now()}
	for {
		begin := time.Now()
		o.idleSince.Store(begin.UnixNano())
		draining := o.draining.Load()
		n, fresh, err := o.next(r, *buffer)
		o.idleSince.Store(0)
		read += int64(n)
		if draining && fresh { // what was read ahead, and the client's own time, are no child's
			waited, drained = waited+time.Since(begin), drained+n
		}
		o.consume((*buffer)[:n])
		switch {
		case err != nil && o.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if !o.complete() {
				o.readErr = io.ErrUnexpectedEOF
			}
			return read, nil
		case waited > maxDrainTime, drained > maxDrainBytes: // a child in the background writes and writes
			return read, nil
		case err == io.EOF:
			if !o.complete() {
				o.readErr = io.ErrUnexpectedEOF
			}
			return read, nil
		case err != nil:
			o.readErr = err
			return read, err
		}
		wanted := poolFor(n, len(*buffer))
		if !o.conn.encrypted() && !draining {
			if pause := gathering.pause(n, len(*buffer), o.conn.lastWriteTime()); pause > 0 {
				time.Sleep(pause)
				wanted = &largeBuffers
			}
		}
		if wanted != buffers {
			buffers.Put(buffer)
			buffers = wanted
			buffer = buffers.Get().(*[]byte)
		}
	}
}

// next reads what comes next: what was read ahead, then, fresh, r.
func (o *output) next(r io.Reader, p []byte) (n int, fresh bool, err error) {
	o.readMu.Lock()
	defer o.readMu.Unlock()
	switch {
	case o.ahead.Len() > 0:
		n, err = o.ahead.Read(p)
		return n, false, err
	case o.aheadErr != nil:
		return 0, false, o.aheadErr
	case o.draining.Load():
		o.conn.SetReadDeadline(time.Now().Add(o.drainIdleTimeout))
	}
	n, err = r.Read(p)
	return n, true, err
}

// readAhead reads what comes while something is being written, up to maxDrainBytes: two seconds after a program's end Docker
// drops what nobody has taken.
func (o *output) readAhead() {
	for o.writing.Load() && o.readMu.TryLock() {
		if !o.readAheadOnce() {
			return
		}
	}
}

// readAheadOnce reads once, with o.reading locked, and unlocks it. It reports whether more can be read.
func (o *output) readAheadOnce() bool {
	defer o.readMu.Unlock()
	if o.aheadErr != nil || o.ahead.Len() > maxDrainBytes {
		return false
	}
	buffer := smallBuffers.Get().(*[]byte)
	o.conn.SetReadDeadline(time.Now().Add(readAheadTimeout))
	n, err := o.conn.Read(*buffer)
	o.conn.SetReadDeadline(time.Time{})
	o.ahead.Write((*buffer)[:n])
	smallBuffers.Put(buffer)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		o.aheadErr = err
	}
	return true
}

func poolFor(read, size int) *sync.Pool {
	if read == size || size == largeRead && read > smallRead {
		return &largeBuffers
	}
	return &smallBuffers
}

// endedCleanly reports whether the stream has ended as one does that has brought all; in is what was sent into it, nil if nothing
// can have been. A program that ends without reading all of its input resets the connection.
func (o *output) endedCleanly(in *input) bool {
	return o.readErr == nil || isReset(o.readErr) && in != nil && in.sent.Load() && o.complete()
}

// idle returns for how long nothing has come.
func (o *output) idle() time.Duration {
	since := o.idleSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// drain lets the stream end as soon as nothing comes any more.
func (o *output) drain() {
	o.draining.Store(true)
	o.conn.SetReadDeadline(time.Now().Add(o.drainIdleTimeout))
}

func (o *output) consume(p []byte) {
	if len(p) == 0 {
		return
	}
	o.writing.Store(true)
	defer o.writing.Store(false)
	if !o.classified {
		o.classified = true
		if !o.conn.accepted() {
			o.raw, o.outputs = true, [2]io.Writer{(*errorTextWriter)(o), nil}
		} else if o.classify != nil {
			switch o.classify() {
			case startErrorOutput:
				o.divertStartError()
			case uncertainOutput:
				o.uncertain = []byte{}
			}
		}
	}
	if o.uncertain != nil {
		if o.uncertain = append(o.uncertain, p...); len(o.uncertain) > maxUncertain { // a reason is short
			o.resolve(false)
		}
		return
	}
	o.forward(p)
}

// forward writes p to where it belongs.
func (o *output) forward(p []byte) {
	if err := backends.Protect(func() error { return o.demux(p) }); err != nil {
		o.fail(err)
		o.outputs = [2]io.Writer{io.Discard, io.Discard}
	}
}

// outputKind says what a stream brings.
type outputKind int

const (
	programOutput    outputKind = iota // the program's
	startErrorOutput                   // why the program was not started
	uncertainOutput                    // one of them
)

const maxUncertain = 64 << 10

// decide decides what a doubtful stream that has ended has brought. Podman's reason is a line of its own.
func (o *output) decide() {
	if o.uncertain != nil {
		text := o.uncertain
		if !o.raw && len(text) >= len(o.header) {
			text = text[len(o.header):]
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		o.resolve(bytes.HasPrefix(line, []byte("Error: ")) && bytes.Contains(line, []byte(": OCI ")))
	}
}

func (o *output) resolve(reason bool) {
	if reason {
		o.divertStartError()
	}
	doubts := o.uncertain
	o.uncertain = nil
	o.forward(doubts)
}

func (o *output) divertStartError() {
	o.isStartError = true
	o.outputs = [2]io.Writer{(*errorTextWriter)(o), (*errorTextWriter)(o)}
}

// errorTextWriter collects the text of an error.
type errorTextWriter output

func (r *errorTextWriter) Write(p []byte) (int, error) {
	r.errorText = append(r.errorText, p[:min(len(p), maxErrorText-len(r.errorText))]...)
	return len(p), nil
}
