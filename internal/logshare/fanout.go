package backends

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// LogFanout lets all viewers of a log share one stream of it. A slow viewer delays neither the stream nor the other
// viewers: it misses lines and gets a count of them. The zero value is ready to use.
//
// Each stream reads its source in a goroutine and buffers the newest chunks of stdout and of stderr. Each viewer has a
// logCursor, its position in the stream. If a viewer falls so far behind that the buffer drops chunks which it has not
// read, the cursor counts the lines that it missed.
type LogFanout struct {
	mu            sync.Mutex
	streams       map[logKey]*logStream // guarded by mu
	activeStreams atomic.Int64          // streams with viewers
}

// logKey identifies a followed log. Viewers with different queries share it.
type logKey struct {
	source           LogSource
	allocation, task string
}

// errTooManyStreams is returned to a viewer who would exceed maxStreams.
var errTooManyStreams = fmt.Errorf("%w: %d logs are being followed", ErrLimitReached, maxStreams)

// Follow calls each with the selected chunks of a log until the log or ctx ends. If ctx ends, it returns the cause.
// The first viewer starts the stream, and it runs until the last viewer leaves. A viewer who wants older lines than
// the stream has buffered starts a new stream, which later viewers join.
//
// Other errors: the error of each, the error of the source, and ErrLimitReached if maxStreams streams have viewers.
func (f *LogFanout) Follow(
	ctx context.Context, source LogSource, in TaskRef, q LogQuery, each func(LogChunk) error,
) error {
	key := logKey{source, in.Allocation.ID, in.Task}
	s, cursor, err := f.join(ctx, key, in, q)
	if err != nil {
		return err
	}
	defer f.leave(key, s)
	for {
		chunks, changed, err := s.next(&cursor)
		if !q.Timestamps {
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
func (f *LogFanout) join(ctx context.Context, key logKey, in TaskRef, q LogQuery) (*logStream, logCursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.streams[key]; s != nil {
		if cursor, ok := s.cursorFor(q); ok {
			s.viewers++
			return s, cursor, nil
		}
	}
	if f.activeStreams.Load() >= maxStreams {
		return nil, logCursor{}, errTooManyStreams
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &logStream{query: q, cancel: cancel, viewers: 1, maxBuffer: f.maxBuffer}
	f.activeStreams.Add(1)
	for _, other := range f.streams {
		other.trim()
	}
	s.query.Stdout, s.query.Stderr = true, true
	if f.streams == nil {
		f.streams = map[logKey]*logStream{}
	}
	f.streams[key] = s
	go func() {
		err := Protect(func() error { return key.source.Log(ctx, in, s.query, s.put) })
		f.forget(key, s)
		s.close(err)
	}()
	return s, logCursor{unwanted: unwantedOutputs(q)}, nil
}

// leave removes a viewer. The last one cancels the stream.
func (f *LogFanout) leave(key logKey, s *logStream) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
func (f *LogFanout) forget(key logKey, s *logStream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams[key] == s {
		delete(f.streams, key)
	}
}

// logStream is a followed log with its newest chunks.
type logStream struct {
	query     LogQuery
	cancel    context.CancelFunc
	viewers   int        // guarded by LogFanout.mu
	maxBuffer func() int // maximum size of each buffer

	mu         sync.Mutex    // guards the fields below
	caughtUp   bool          // the source has delivered the data that existed at the start
	container  string        // see LogChunk
	caughtUpAt int           // number of the first chunk after CaughtUp
	nextNumber int           // of the next chunk
	buffers    [2]logBuffer  // stdout and stderr
	changed    chan struct{} // closed at the next change; nil if nobody waits
	ended      bool
	err        error
}

// logBuffer holds the newest chunks of stdout or stderr. Each output has its own buffer, so that a busy one does not
// evict the lines of the other.
type logBuffer struct {
	chunks         []bufferedChunk
	size           int
	droppedUpTo    int  // number of the newest dropped chunk, plus 1
	droppedLines   int  // newlines in dropped chunks
	droppedMidLine bool // the dropped data ends in the middle of a line
}

// bufferedChunk is an immutable chunk of a stream.
type bufferedChunk struct {
	LogChunk
	number int
}

const (
	maxStreams      = 300      // each has its own connection with buffers
	maxOutputBuffer = 1 << 20  // bytes for each output, if there are few streams
	maxTotalBuffer  = 32 << 20 // bytes for all streams
	chunkOverhead   = 128      // bytes of a chunk besides its data
)

// maxBuffer returns how many bytes each stream buffers of each output.
func (f *LogFanout) maxBuffer() int {
	return min(maxOutputBuffer, maxTotalBuffer/2/int(max(f.activeStreams.Load(), 1)))
}

// put appends a chunk of the source. It is the callback of LogSource.Log.
func (s *logStream) put(c LogChunk) error {
	c.Data = bytes.Clone(c.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.CaughtUp {
		s.caughtUp, s.container, s.caughtUpAt = true, c.Container, s.nextNumber
		s.notify()
		return nil
	}
	b := &s.buffers[c.OutputIndex()]
	b.chunks = append(b.chunks, bufferedChunk{c, s.nextNumber})
	s.nextNumber++
	b.size += len(c.Data) + chunkOverhead
	b.trim(s.maxBuffer())
	s.notify()
	return nil
}

// trim drops the oldest chunks until the buffer fits into maxSize.
func (b *logBuffer) trim(maxSize int) {
	dropped := 0
	for ; b.size > maxSize && dropped < len(b.chunks)-1; dropped++ {
		old := b.chunks[dropped]
		b.size -= len(old.Data) + chunkOverhead
		b.droppedUpTo = old.number + 1
		b.droppedLines += bytes.Count(old.Data, newline)
		if !old.isNotice() {
			b.droppedMidLine = !bytes.HasSuffix(old.Data, newline)
		}
		b.chunks[dropped] = bufferedChunk{}
	}
	b.chunks = b.chunks[dropped:]
}

// trim drops chunks after maxBuffer has changed.
func (s *logStream) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buffers {
		s.buffers[i].trim(s.maxBuffer())
	}
}

// close ends the stream with the error of the source.
func (s *logStream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.err = true, err
	s.notify()
}

// notify wakes waiting viewers. The caller holds mu.
func (s *logStream) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// mergeChunks joins adjacent chunks of one output, so that a burst of short lines is written at once.
func mergeChunks(chunks []LogChunk) []LogChunk {
	var all []LogChunk
	cloned := false // the last element is a copy, so data can be appended; other viewers share the original
	for _, c := range chunks {
		n := len(all) - 1
		if n < 0 || all[n].Stderr != c.Stderr || all[n].Skipped > 0 || c.Skipped > 0 || all[n].isNotice() || c.isNotice() {
			all, cloned = append(all, c), false
			continue
		}
		if !cloned {
			all[n].Data, cloned = bytes.Clone(all[n].Data), true
		}
		all[n].Data, all[n].Time = append(all[n].Data, c.Data...), c.Time
	}
	return all
}

var newline = []byte{'\n'}
