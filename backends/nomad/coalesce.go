package nomad

import (
	"context"
	"errors"
	"io"
	"sync"
)

// batch gathers what comes while it writes, and writes that at once: Nomad sends a kilobyte at a time, and each write to
// a user is a packet of its own.
type batch struct {
	to     io.Writer
	failed func(error) // what to does not take

	mu      sync.Mutex
	moved   sync.Cond // something of the following has changed
	held    []byte
	writing bool
	err     error
}

// mostHeld is how much may wait for a slow reader.
const mostHeld = 128 << 10

func newBatch(to io.Writer, failed func(error)) *batch {
	b := &batch{to: to, failed: failed}
	b.moved.L = &b.mu
	return b
}

// Write waits for room only. Its error may be of an earlier one.
func (b *batch) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.held) >= mostHeld && b.err == nil {
		b.moved.Wait()
	}
	if b.err != nil {
		return 0, b.err
	}
	b.held = append(b.held, p...)
	if !b.writing {
		b.writing = true
		go b.write()
	}
	return len(p), nil
}

func (b *batch) write() {
	var spare []byte
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.held) > 0 && b.err == nil {
		next := b.held
		b.held = spare[:0]
		b.moved.Broadcast()
		b.mu.Unlock()
		_, err := b.to.Write(next)
		b.mu.Lock()
		spare = next
		if b.err == nil && err != nil {
			b.err = err
			b.failed(err)
		}
	}
	b.writing = false
	b.moved.Broadcast()
}

// flush waits until all has been written, as long as that works and ctx lives.
func (b *batch) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { b.end(context.Cause(ctx)) })
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for (b.writing || len(b.held) > 0) && b.err == nil {
		b.moved.Wait()
	}
}

// errEnded is what those read who write after the end.
var errEnded = errors.New("nothing more is written")

// end lets nobody wait any more. A write that is underway is left to itself.
func (b *batch) end(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = cause
	}
	b.moved.Broadcast()
}
