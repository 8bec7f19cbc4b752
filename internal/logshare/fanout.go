// Package logshare lets all viewers of a log share one stream of it. It owns the streams, their buffers, and each
// viewer's position in them. It does not check who may read a log, and it does not print.
package logshare

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// Fanout lets all viewers of a log share one stream of it. A slow viewer delays neither the stream nor the other
// viewers: it misses lines and gets a count of them. The zero value is ready to use.
//
// Each stream reads its source in a goroutine and buffers the newest chunks of stdout and of stderr. Each viewer has a
// cursor, its position in the stream. If a viewer falls so far behind that the buffer drops chunks which it has not
// read, the cursor counts the lines that it missed.
type Fanout struct {
	mu            sync.Mutex
	streams       map[streamKey]*stream // guarded by mu
	activeStreams atomic.Int64          // streams with viewers
}

// streamKey identifies a followed log. Viewers with different queries share it only if they select the same outputs,
// because the last lines of one output may be older than the last lines of both together.
type streamKey struct {
	source           backends.LogSource
	allocation, task string
	stdout, stderr   bool
}

// errTooManyStreams is returned to a viewer who would exceed maxStreams.
var errTooManyStreams = fmt.Errorf("%w: %d logs are being followed; stop one, or retry in a minute",
	backends.ErrLimitReached, maxStreams)

// Follow calls each with the selected chunks of a log until the log or ctx ends. If ctx ends, it returns the cause.
// The first viewer starts the stream, and it runs until the last viewer leaves. A viewer who wants older lines than
// the stream has buffered starts a new stream, which later viewers join.
//
// Other errors: the error of each, the error of the source, and ErrLimitReached if maxStreams streams have viewers.
func (f *Fanout) Follow(
	ctx context.Context, source backends.LogSource, in backends.TaskRef, q backends.LogQuery,
	each func(backends.LogChunk) error,
) error {
	key := streamKey{source, in.Allocation.ID, in.Task, q.Stdout, q.Stderr}
	s, at, err := f.join(ctx, key, in, q)
	if err != nil {
		return err
	}
	defer f.leave(key, s)
	for {
		chunks, changed, err := s.next(&at)
		if !q.Timestamps && !q.PreferTimes {
			chunks = mergeChunks(chunks)
		}
		for _, c := range chunks {
			if err := each(c); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		switch {
		case len(chunks) > 0:
		case changed == nil:
			return err
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// join returns the stream of key and a cursor for a new viewer. It replaces a stream that has ended or has buffered too
// little for the new viewer. The old viewers keep the old stream.
func (f *Fanout) join(
	ctx context.Context, key streamKey, in backends.TaskRef, q backends.LogQuery,
) (*stream, cursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.streams[key]; s != nil {
		if at, ok := s.cursorFor(q); ok {
			s.viewers++
			s.stopWaiting()
			return s, at, nil
		}
	}
	if f.activeStreams.Load() >= maxStreams {
		return nil, cursor{}, errTooManyStreams
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &stream{query: q, cancel: cancel, viewers: 1, maxBuffer: f.maxBuffer, alone: true}
	f.activeStreams.Add(1)
	for _, other := range f.streams {
		other.trim()
	}
	if f.streams == nil {
		f.streams = map[streamKey]*stream{}
	}
	f.streams[key] = s
	go func() {
		err := safego.Protect(func() error { return key.source.Log(ctx, in, s.query, s.put) })
		f.forget(key, s)
		s.close(err)
	}()
	return s, cursor{isFirst: true}, nil
}

// leave removes a viewer. The last one cancels the stream.
func (f *Fanout) leave(key streamKey, s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.stopWaiting()
	if s.viewers--; s.viewers > 0 {
		return
	}
	f.activeStreams.Add(-1)
	if f.streams[key] == s {
		delete(f.streams, key)
	}
	s.cancel()
}

// forget makes new viewers start a new stream.
func (f *Fanout) forget(key streamKey, s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams[key] == s {
		delete(f.streams, key)
	}
}

const (
	maxStreams      = 300      // each has its own connection with buffers
	maxOutputBuffer = 1 << 20  // bytes for each output, if there are few streams
	maxTotalBuffer  = 32 << 20 // bytes for all streams
	chunkOverhead   = 128      // bytes of a chunk besides its data
)

// maxBuffer returns how many bytes each stream buffers of each output.
func (f *Fanout) maxBuffer() int {
	return min(maxOutputBuffer, maxTotalBuffer/2/int(max(f.activeStreams.Load(), 1)))
}
