package docker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nomadctld/internal/safego"
)

// outputReceiver receives the data of a stream and writes it to stdout and stderr.
type outputReceiver struct {
	demuxer
	classify   func() outputKind // called once, before the first write; may be nil
	onAccepted func()            // called once, when the daemon has accepted the request; may be nil
	broken     chan struct{}     // closed by fail
	conn       *streamConn

	idleSince        atomic.Int64 // Unix nanoseconds; 0: a write is in progress
	writing          atomic.Bool
	draining         atomic.Bool
	drainIdleTimeout time.Duration // while draining, the stream ends after this time without data

	readMu   sync.Mutex   // held while reading; guards ahead and aheadErr
	ahead    bytes.Buffer // data that was read while a write was in progress
	aheadErr error        // the error or EOF that follows ahead; nil: none yet

	classified   bool
	uncertain    []byte // output that may be a start error; nil: none
	isStartError bool   // the output is the reason why the program did not start
	errorText    []byte // text of an error response or start error
	failOnce     sync.Once
	failure      error // set by fail; read it with failed
	readErr      error // why reading ended; nil: the stream ended or was drained
}

const (
	smallRead = 8 << 10
	largeRead = 256 << 10

	maxErrorText = 4 << 10

	maxDrainTime  = 30 * time.Second // total time spent waiting
	maxDrainBytes = 16 << 20         // more than can be in transit

	readAheadTimeout = 100 * time.Millisecond // a read-ahead may delay the next write by this time
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

// newOutputReceiver returns a receiver. raw: the stream has no frames, because the container has a terminal.
func newOutputReceiver(stdout, stderr io.Writer, raw bool) *outputReceiver {
	o := &outputReceiver{broken: make(chan struct{}), drainIdleTimeout: time.Second}
	o.raw, o.outputs = raw, [2]io.Writer{stdout, stderr}
	return o
}

// Write receives the data that the library read together with the headers.
func (o *outputReceiver) Write(p []byte) (int, error) {
	o.guard(func() { o.consume(p) })()
	return len(p), nil
}

// fail marks the receiver as failed. Only the first error counts.
func (o *outputReceiver) fail(err error) {
	o.failOnce.Do(func() {
		o.failure = err
		close(o.broken)
	})
}

// failed returns the error passed to fail, or nil.
func (o *outputReceiver) failed() error {
	select {
	case <-o.broken:
		return o.failure
	default:
		return nil
	}
}

// guard returns a function that calls f, and calls fail if f panics. All goroutines that serve the stream need it,
// including those of go-dockerclient.
func (o *outputReceiver) guard(f func()) func() {
	return func() {
		if err := safego.Protect(func() error { f(); return nil }); err != nil {
			o.fail(err)
		}
	}
}

// ReadFrom reads r to its end, even after the outputs have failed: the program must not block. The buffer is small
// while little data comes, because most streams are idle.
func (o *outputReceiver) ReadFrom(r io.Reader) (read int64, err error) {
	o.guard(func() { read, err = o.readFrom(r) })()
	return read, err
}

// readFrom is ReadFrom without recovery from panics. It reads and writes in turn until the stream ends. While the
// stream is drained, it also ends after drainIdleTimeout without data. A child in the background may write forever, so
// draining is limited to maxDrainTime and maxDrainBytes. A busy stream is read after a delay, to save wake-ups (see
// readDelay).
func (o *outputReceiver) readFrom(r io.Reader) (read int64, err error) {
	currentPool := &smallBuffers
	buffer := currentPool.Get().(*[]byte)
	defer func() { currentPool.Put(buffer) }()
	var drainWait time.Duration
	var drainBytes int
	delay := readDelay{start: time.Now()}
	for {
		start := time.Now()
		o.idleSince.Store(start.UnixNano())
		draining := o.draining.Load()
		n, fresh, err := o.next(r, *buffer)
		o.idleSince.Store(0)
		read += int64(n)
		if draining && fresh { // do not count read-ahead data and the time that the client takes
			drainWait, drainBytes = drainWait+time.Since(start), drainBytes+n
		}
		o.consume((*buffer)[:n])
		switch {
		case err != nil && o.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if !o.complete() {
				o.readErr = io.ErrUnexpectedEOF
			}
			return read, nil
		case drainWait > maxDrainTime, drainBytes > maxDrainBytes: // a child in the background keeps writing
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
		pool := poolFor(n, len(*buffer))
		if !o.conn.encrypted() && !draining {
			if pause := delay.pause(n, len(*buffer), o.conn.lastWriteTime()); pause > 0 {
				time.Sleep(pause)
				pool = &largeBuffers
			}
		}
		if pool != currentPool {
			currentPool.Put(buffer)
			currentPool = pool
			buffer = currentPool.Get().(*[]byte)
		}
	}
}

// next returns read-ahead data if there is any. Otherwise it reads r. fresh reports that the data was read from r.
func (o *outputReceiver) next(r io.Reader, p []byte) (n int, fresh bool, err error) {
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

// readAhead reads while a write is in progress, up to maxDrainBytes: Docker drops unread output two seconds after the
// exit.
func (o *outputReceiver) readAhead() {
	for o.writing.Load() && o.readMu.TryLock() {
		if !o.readAheadOnce() {
			return
		}
	}
}

// readAheadOnce reads once. The caller has locked readMu; readAheadOnce unlocks it. It reports whether to read again.
func (o *outputReceiver) readAheadOnce() bool {
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

// poolFor returns the pool of the next buffer, after a read into a buffer of this size.
func poolFor(read, size int) *sync.Pool {
	if read == size || size == largeRead && read > smallRead {
		return &largeBuffers
	}
	return &smallBuffers
}

// endedCleanly reports whether the stream delivered all output. in is the input of the stream, or nil. A program that
// exits without reading all of its input resets the connection.
func (o *outputReceiver) endedCleanly(in *input) bool {
	return o.readErr == nil || isReset(o.readErr) && in != nil && in.sent.Load() && o.complete()
}

// idle returns how long no data has arrived.
func (o *outputReceiver) idle() time.Duration {
	since := o.idleSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// drain ends the stream once no more data arrives.
func (o *outputReceiver) drain() {
	o.draining.Store(true)
	o.conn.SetReadDeadline(time.Now().Add(o.drainIdleTimeout))
}

// consume classifies the first data and writes p to the outputs.
func (o *outputReceiver) consume(p []byte) {
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
		if o.uncertain = append(o.uncertain, p...); len(o.uncertain) > maxUncertain { // a start error is short
			o.forwardUncertain(false)
		}
		return
	}
	o.forward(p)
}

// forward writes p to the outputs.
func (o *outputReceiver) forward(p []byte) {
	if err := safego.Protect(func() error { return o.demux(p) }); err != nil {
		o.fail(err)
		o.outputs = [2]io.Writer{io.Discard, io.Discard}
	}
}

// outputKind classifies the data of a stream.
type outputKind int

const (
	programOutput    outputKind = iota // output of the program
	startErrorOutput                   // the reason why the program did not start
	uncertainOutput                    // one of the two
)

const maxUncertain = 64 << 10

// classifyUncertain classifies uncertain output at the end of the stream. A start error of Podman is one line.
func (o *outputReceiver) classifyUncertain() {
	if o.uncertain != nil {
		text := o.uncertain
		if !o.raw && len(text) >= len(o.header) {
			text = text[len(o.header):]
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		o.forwardUncertain(bytes.HasPrefix(line, []byte("Error: ")) && bytes.Contains(line, []byte(": OCI ")))
	}
}

// forwardUncertain handles the uncertain output, now that it is classified.
func (o *outputReceiver) forwardUncertain(isStartError bool) {
	if isStartError {
		o.divertStartError()
	}
	text := o.uncertain
	o.uncertain = nil
	o.forward(text)
}

// divertStartError collects all further output as the start error.
func (o *outputReceiver) divertStartError() {
	o.isStartError = true
	o.outputs = [2]io.Writer{(*errorTextWriter)(o), (*errorTextWriter)(o)}
}

// errorTextWriter collects the text of an error.
type errorTextWriter outputReceiver

func (w *errorTextWriter) Write(p []byte) (int, error) {
	w.errorText = append(w.errorText, p[:min(len(p), maxErrorText-len(w.errorText))]...)
	return len(p), nil
}
