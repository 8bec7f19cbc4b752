package logshare

import (
	"bytes"
	"context"
	"sync"

	"nomadctld/backends"
)

// stream is a followed log with its newest chunks.
type stream struct {
	query     backends.LogQuery
	cancel    context.CancelFunc
	viewers   int        // guarded by Fanout.mu
	maxBuffer func() int // maximum size of each buffer

	mu         sync.Mutex    // guards the fields below
	caughtUp   bool          // the source has delivered the data that existed at the start
	container  string        // see LogChunk
	caughtUpAt int           // number of the first chunk after CaughtUp
	nextNumber int           // of the next chunk
	buffers    [2]buffer     // stdout and stderr
	changed    chan struct{} // closed at the next change; nil if nobody waits
	ended      bool
	err        error
}

// buffer holds the newest chunks of stdout or stderr. Each output has its own buffer, so that a busy one does not
// evict the lines of the other.
type buffer struct {
	chunks         []bufferedChunk
	size           int
	droppedUpTo    int  // number of the newest dropped chunk, plus 1
	droppedLines   int  // newlines in dropped chunks
	droppedMidLine bool // the dropped data ends in the middle of a line
}

// bufferedChunk is an immutable chunk of a stream.
type bufferedChunk struct {
	backends.LogChunk
	number int
}

// put appends a chunk of the source. It is the callback of LogSource.Log.
func (s *stream) put(c backends.LogChunk) error {
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
func (b *buffer) trim(maxSize int) {
	dropped := 0
	for ; b.size > maxSize && dropped < len(b.chunks)-1; dropped++ {
		old := b.chunks[dropped]
		b.size -= len(old.Data) + chunkOverhead
		b.droppedUpTo = old.number + 1
		b.droppedLines += bytes.Count(old.Data, newline)
		if !old.IsNotice() {
			b.droppedMidLine = !bytes.HasSuffix(old.Data, newline)
		}
		b.chunks[dropped] = bufferedChunk{}
	}
	b.chunks = b.chunks[dropped:]
}

// trim drops chunks after maxBuffer has changed.
func (s *stream) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buffers {
		s.buffers[i].trim(s.maxBuffer())
	}
}

// close ends the stream with the error of the source.
func (s *stream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.err = true, err
	s.notify()
}

// notify wakes waiting viewers. The caller holds mu.
func (s *stream) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// mergeChunks joins adjacent chunks of one output, so that a burst of short lines is written at once.
func mergeChunks(chunks []backends.LogChunk) []backends.LogChunk {
	var all []backends.LogChunk
	cloned := false // the last element is a copy, so data can be appended; other viewers share the original
	for _, c := range chunks {
		n := len(all) - 1
		if n < 0 || all[n].Stderr != c.Stderr || all[n].Skipped > 0 || c.Skipped > 0 || all[n].IsNotice() || c.IsNotice() {
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
