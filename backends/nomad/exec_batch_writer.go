package nomad

import (
	"context"
	"errors"
	"io"
	"sync"
)

// batchWriter is a buffered writer that joins small writes: while one write to dst is in progress, it buffers the next
// ones and then writes them at once. Nomad sends one kilobyte at a time, and each write to a user is a packet.
type batchWriter struct {
	dst     io.Writer
	onError func(error) // called for a write error of dst

	mu       sync.Mutex // guards the fields below
	changed  sync.Cond  // signaled when a method that waits may continue
	buffered []byte
	writing  bool
	err      error
}

// maxBuffered is the number of buffered bytes at which Write blocks.
const maxBuffered = 128 << 10

func newBatchWriter(dst io.Writer, onError func(error)) *batchWriter {
	w := &batchWriter{dst: dst, onError: onError}
	w.changed.L = &w.mu
	return w
}

// Write blocks only while the buffer is full. It returns the error of an earlier write to dst, if any.
func (w *batchWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buffered) >= maxBuffered && w.err == nil {
		w.changed.Wait()
	}
	if w.err != nil {
		return 0, w.err
	}
	w.buffered = append(w.buffered, p...)
	if !w.writing {
		w.writing = true
		go w.writeBuffered()
	}
	return len(p), nil
}

// writeBuffered writes to dst until the buffer is empty.
func (w *batchWriter) writeBuffered() {
	var spare []byte
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buffered) > 0 && w.err == nil {
		next := w.buffered
		w.buffered = spare[:0]
		w.changed.Broadcast()
		w.mu.Unlock()
		_, err := w.dst.Write(next)
		w.mu.Lock()
		spare = next
		if w.err == nil && err != nil {
			w.err = err
			w.onError(err)
		}
	}
	w.writing = false
	w.changed.Broadcast()
}

// flush waits until the buffer has been written or a write has failed. If ctx ends first, it closes the writer with
// the cause.
func (w *batchWriter) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { w.close(context.Cause(ctx)) })
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for (w.writing || len(w.buffered) > 0) && w.err == nil {
		w.changed.Wait()
	}
}

// errWriterClosed is returned to writes after Exec has returned.
var errWriterClosed = errors.New("the output is closed")

// close makes pending and future calls return: Write with cause, or the earlier error. It
// does not interrupt a write to dst.
func (w *batchWriter) close(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = cause
	}
	w.changed.Broadcast()
}
