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
	frames
	admit  func() admission // asked once, before the first byte is written. May be nil
	broken chan struct{}    // closed by fail
	wire   *wire

	waiting  atomic.Int64 // since when nothing comes, in Unix nanoseconds; 0: something is being written
	writing  atomic.Bool
	draining atomic.Bool
	patience time.Duration // without a byte, while it is drained: all that was underway has come

	reading  sync.Mutex   // held by who reads the stream
	ahead    bytes.Buffer // what was read before it could be written
	aheadEnd error        // how the stream ended behind that; nil: it has not

	asked   bool
	doubts  []byte // what came while it was doubtful; nil: it is not
	reason  bool   // the output was the reason why the program was not started
	text    []byte // an error's
	failing sync.Once
	failure error // of fail. Read it with failed
	end     error // why nothing more comes; nil: the stream has ended, or was drained
}

const (
	smallRead = 8 << 10
	largeRead = 256 << 10

	longestText = 4 << 10

	drainTime = 30 * time.Second // spent waiting, in all
	drainSize = 16 << 20         // more than can be underway

	aheadStep = 100 * time.Millisecond // for which a read may hold up who could write again
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

func newOutput(stdout, stderr io.Writer, raw bool) *output {
	o := &output{broken: make(chan struct{}), patience: time.Second}
	o.raw, o.to = raw, [2]io.Writer{stdout, stderr}
	return o
}

// Write takes what the library has read together with the head of the answer.
func (o *output) Write(p []byte) (int, error) {
	o.guard(func() { o.take(p) })()
	return len(p), nil
}

// fail reports that the stream is of no use any more. Only the first error counts.
func (o *output) fail(err error) {
	o.failing.Do(func() {
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
	gathering := gathering{since: time.Now()}
	for {
		begin := time.Now()
		o.waiting.Store(begin.UnixNano())
		draining := o.draining.Load()
		n, fresh, err := o.next(r, *buffer)
		o.waiting.Store(0)
		read += int64(n)
		if draining && fresh { // what was read ahead, and the client's own time, are no child's
			waited, drained = waited+time.Since(begin), drained+n
		}
		o.take((*buffer)[:n])
		switch {
		case err != nil && o.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if !o.complete() {
				o.end = io.ErrUnexpectedEOF
			}
			return read, nil
		case waited > drainTime, drained > drainSize: // a child in the background writes and writes
			return read, nil
		case err == io.EOF:
			if !o.complete() {
				o.end = io.ErrUnexpectedEOF
			}
			return read, nil
		case err != nil:
			o.end = err
			return read, err
		}
		wanted := sized(n, len(*buffer))
		if !o.wire.encrypted() && !draining {
			if pause := gathering.pause(n, len(*buffer), o.wire.lastSent()); pause > 0 {
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
	o.reading.Lock()
	defer o.reading.Unlock()
	switch {
	case o.ahead.Len() > 0:
		n, err = o.ahead.Read(p)
		return n, false, err
	case o.aheadEnd != nil:
		return 0, false, o.aheadEnd
	case o.draining.Load():
		o.wire.SetReadDeadline(time.Now().Add(o.patience))
	}
	n, err = r.Read(p)
	return n, true, err
}

// readAhead reads what comes while something is being written, up to drainSize: two seconds after a program's end Docker
// drops what nobody has taken.
func (o *output) readAhead() {
	for o.writing.Load() && o.reading.TryLock() {
		if !o.stepAhead() {
			return
		}
	}
}

// stepAhead reads once, with o.reading locked, and unlocks it. It reports whether more can be read.
func (o *output) stepAhead() bool {
	defer o.reading.Unlock()
	if o.aheadEnd != nil || o.ahead.Len() > drainSize {
		return false
	}
	buffer := smallBuffers.Get().(*[]byte)
	o.wire.SetReadDeadline(time.Now().Add(aheadStep))
	n, err := o.wire.Read(*buffer)
	o.wire.SetReadDeadline(time.Time{})
	o.ahead.Write((*buffer)[:n])
	smallBuffers.Put(buffer)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		o.aheadEnd = err
	}
	return true
}

func sized(read, size int) *sync.Pool {
	if read == size || size == largeRead && read > smallRead {
		return &largeBuffers
	}
	return &smallBuffers
}

// whole reports whether the stream has ended as one does that has brought all; in is what was sent into it, nil if nothing
// can have been. A program that ends without reading all of its input resets the connection.
func (o *output) whole(in *input) bool {
	return o.end == nil || isReset(o.end) && in != nil && in.sent.Load() && o.complete()
}

// idle returns for how long nothing has come.
func (o *output) idle() time.Duration {
	since := o.waiting.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// drain lets the stream end as soon as nothing comes any more.
func (o *output) drain() {
	o.draining.Store(true)
	o.wire.SetReadDeadline(time.Now().Add(o.patience))
}

func (o *output) take(p []byte) {
	if len(p) == 0 {
		return
	}
	o.writing.Store(true)
	defer o.writing.Store(false)
	if !o.asked {
		o.asked = true
		if !o.wire.accepted() {
			o.raw, o.to = true, [2]io.Writer{(*refusal)(o), nil}
		} else if o.admit != nil {
			switch o.admit() {
			case itsReason:
				o.isReason()
			case doubtful:
				o.doubts = []byte{}
			}
		}
	}
	if o.doubts != nil {
		if o.doubts = append(o.doubts, p...); len(o.doubts) > mostDoubts { // a reason is short
			o.resolve(false)
		}
		return
	}
	o.pass(p)
}

// pass writes p to where it belongs.
func (o *output) pass(p []byte) {
	if err := backends.Protect(func() error { return o.split(p) }); err != nil {
		o.fail(err)
		o.to = [2]io.Writer{io.Discard, io.Discard}
	}
}

// admission says what a stream brings.
type admission int

const (
	itsOutput admission = iota // the program's
	itsReason                  // why the program was not started
	doubtful                   // one of them
)

const mostDoubts = 64 << 10

// settle decides what a doubtful stream that has ended has brought. Podman's reason is a line of its own.
func (o *output) settle() {
	if o.doubts != nil {
		text := o.doubts
		if !o.raw && len(text) >= len(o.head) {
			text = text[len(o.head):]
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		o.resolve(bytes.HasPrefix(line, []byte("Error: ")) && bytes.Contains(line, []byte(": OCI ")))
	}
}

func (o *output) resolve(reason bool) {
	if reason {
		o.isReason()
	}
	doubts := o.doubts
	o.doubts = nil
	o.pass(doubts)
}

func (o *output) isReason() {
	o.reason = true
	o.to = [2]io.Writer{(*refusal)(o), (*refusal)(o)}
}

// refusal collects the text of an error.
type refusal output

func (r *refusal) Write(p []byte) (int, error) {
	r.text = append(r.text, p[:min(len(p), longestText-len(r.text))]...)
	return len(p), nil
}
