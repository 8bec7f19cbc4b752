package logshare

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

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

	// Until the source has caught up, it waits for the viewer that started the stream, as long as that is the only one.
	// So a viewer who searches a whole log does not miss lines.
	alone    bool          // no other viewer has joined, and the first one has not stalled
	readTo   int           // number of the next chunk that the first viewer reads
	progress chan struct{} // closed when alone or readTo changes; nil if put does not wait
}

// stallTimeout is how long the source waits for a viewer that does not read.
const stallTimeout = 10 * time.Second

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
	s.awaitViewer(b, len(c.Data)+chunkOverhead)
	b.chunks = append(b.chunks, bufferedChunk{c, s.nextNumber})
	s.nextNumber++
	b.size += len(c.Data) + chunkOverhead
	b.trim(s.maxBuffer())
	s.notify()
	return nil
}

// awaitViewer waits until a chunk of this size fits into b without dropping a chunk that the viewer has not read. It
// waits only before the source has caught up and while only one viewer reads. The caller holds mu, which is released in
// the meantime.
func (s *stream) awaitViewer(b *buffer, size int) {
	for s.alone && !s.caughtUp {
		read, _ := slices.BinarySearchFunc(b.chunks, s.readTo, func(c bufferedChunk, n int) int { return c.number - n })
		b.drop(s.maxBuffer()-size, read)
		if len(b.chunks) == 0 || b.size+size <= s.maxBuffer() {
			return
		}
		progress := make(chan struct{})
		s.progress = progress
		s.mu.Unlock()
		stalled := time.NewTimer(stallTimeout)
		select {
		case <-progress:
			s.mu.Lock()
		case <-stalled.C:
			s.mu.Lock()
			s.alone = false
		}
		stalled.Stop()
	}
}

// viewerChanged wakes awaitViewer. The caller holds mu.
func (s *stream) viewerChanged() {
	if s.progress != nil {
		close(s.progress)
		s.progress = nil
	}
}

// stopWaiting makes the source stop waiting for the first viewer, because another one has joined or one has left.
func (s *stream) stopWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone = false
	s.viewerChanged()
}

// trim drops the oldest chunks until the buffer fits into maxSize.
func (b *buffer) trim(maxSize int) { b.drop(maxSize, len(b.chunks)-1) }

// drop drops the oldest chunks, but at most limit, until the buffer fits into maxSize.
func (b *buffer) drop(maxSize, limit int) {
	dropped := 0
	for ; b.size > maxSize && dropped < limit; dropped++ {
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
		if n < 0 || all[n].Stderr != c.Stderr || all[n].Unordered != c.Unordered || all[n].Skipped > 0 || c.Skipped > 0 ||
			all[n].IsNotice() || c.IsNotice() {
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
