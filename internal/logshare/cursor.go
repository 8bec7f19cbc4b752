package logshare

import (
	"bytes"
	"slices"

	"nomadctld/backends"
)

// cursor is a viewer's position in a stream. Arrays are indexed by output.
type cursor struct {
	isFirst     bool    // the viewer has started the stream
	caughtUp    bool    // the viewer has got the CaughtUp chunk
	joinedAt    int     // number of the next chunk when the viewer joined; older chunks come before CaughtUp
	number      int     // of the next chunk
	from        [2]int  // number of the first chunk to return
	skip        [2]int  // bytes to skip in that chunk
	linesPassed [2]int  // newlines before the position
	droppedSeen [2]int  // buffer.droppedUpTo when missed lines were last reported
	midLine     [2]bool // the rest of the current line must be skipped
}

// Limits of a batch for one viewer, so that slow viewers do not retain much memory. The number of bytes is approximate.
const (
	maxBatchChunks = 64
	maxBatchBytes  = 64 << 10
)

// batchLen returns how many of the chunks fit into one batch.
func batchLen(chunks []backends.LogChunk) int {
	size := 0
	for n, p := range chunks {
		if size += len(p.Data); n == maxBatchChunks || size > maxBatchBytes && n > 0 {
			return n
		}
	}
	return len(chunks)
}

// next returns the next batch and advances the cursor. If there is no chunk yet, it returns a channel that is closed
// when there may be one. If the stream has ended, it returns neither, and the stream's error.
func (s *stream) next(at *cursor) (batch []backends.LogChunk, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.isFirst { // all earlier batches have been processed
		s.readTo = at.number
		s.viewerChanged()
	}
	for i := range s.buffers {
		if b := &s.buffers[i]; b.droppedUpTo > max(at.number, at.droppedSeen[i], at.from[i]) {
			lines := b.droppedLines - at.linesPassed[i]
			if b.droppedMidLine {
				lines++
			}
			if at.midLine[i] {
				lines-- // the first newline ends a line that has already been counted
			}
			if lines > 0 {
				batch = append(batch, backends.LogChunk{Stderr: i == 1, Skipped: lines})
			}
			at.linesPassed[i], at.droppedSeen[i], at.midLine[i] = b.droppedLines, b.droppedUpTo, b.droppedMidLine
		}
	}
	for len(batch) == 0 {
		chunks := s.chunksFrom(at.number)
		if s.caughtUp && !at.caughtUp {
			past := max(s.caughtUpAt, at.joinedAt)
			n, _ := slices.BinarySearchFunc(chunks, past, func(c bufferedChunk, n int) int { return c.number - n })
			if chunks = chunks[:n]; n == 0 {
				at.caughtUp = true
				return []backends.LogChunk{{CaughtUp: true, Container: s.container}}, nil, nil
			}
		}
		if len(chunks) == 0 {
			break
		}
		for _, c := range chunks {
			if p, visible := at.advance(c); visible {
				batch = append(batch, p)
			}
		}
	}
	if len(batch) > 0 || s.ended {
		return batch, nil, s.err
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.changed, nil
}

// advance moves the cursor past a chunk and returns the part of it that the viewer gets, if any.
func (at *cursor) advance(c bufferedChunk) (p backends.LogChunk, visible bool) {
	i := c.OutputIndex()
	at.number = c.number + 1
	switch {
	case c.number < at.from[i]: // its lines are in linesPassed already
		return p, false
	case c.number == at.from[i]:
		c.Data = c.Data[at.skip[i]:]
	}
	at.linesPassed[i] += bytes.Count(c.Data, newline)
	if c.IsNotice() {
		at.midLine[i] = false
		return c.LogChunk, true
	}
	if at.midLine[i] {
		end := bytes.IndexByte(c.Data, '\n')
		if end < 0 {
			return p, false
		}
		c.Data, at.midLine[i] = c.Data[end+1:], false
	}
	return c.LogChunk, len(c.Data) > 0
}

// chunksFrom returns a batch of chunks of both outputs, starting with number, in order.
func (s *stream) chunksFrom(number int) []bufferedChunk {
	var found []bufferedChunk
	for i := range s.buffers {
		chunks := s.buffers[i].chunks
		first, _ := slices.BinarySearchFunc(chunks, number, func(c bufferedChunk, n int) int { return c.number - n })
		found = append(found, chunks[first:min(first+maxBatchChunks, len(chunks))]...)
	}
	sortChunks(found)
	return found[:batchLen(logChunks(found))]
}

// sortChunks sorts chunks in the order of the stream.
func sortChunks(chunks []bufferedChunk) {
	slices.SortFunc(chunks, func(a, b bufferedChunk) int { return a.number - b.number })
}

// logChunks returns the chunks without their numbers.
func logChunks(chunks []bufferedChunk) []backends.LogChunk {
	var all []backends.LogChunk
	for _, c := range chunks {
		all = append(all, c.LogChunk)
	}
	return all
}

// cursorFor returns the start position of a viewer with query q. It returns false if the viewer needs a stream of its
// own.
func (s *stream) cursorFor(q backends.LogQuery) (at cursor, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended,
		!s.caughtUp && (q.Lines != s.query.Lines || !q.Since.Equal(s.query.Since) ||
			q.AfterContainer != s.query.AfterContainer),
		s.caughtUp && q.AfterContainer != "" && (s.container == "" || s.container == q.AfterContainer):
		return at, false
	}
	at.number, at.joinedAt = s.nextNumber, s.nextNumber
	starts, ok := s.tail(q)
	if !ok {
		return at, false
	}
	for i := range s.buffers {
		b := &s.buffers[i]
		at.droppedSeen[i], at.linesPassed[i] = b.droppedUpTo, b.droppedLines
		at.from[i], at.skip[i] = starts[i].number, starts[i].offset
		at.number = min(at.number, at.from[i])
		for _, c := range b.chunks {
			switch {
			case c.number < at.from[i]:
				at.linesPassed[i] += bytes.Count(c.Data, newline)
			case c.number == at.from[i]:
				at.linesPassed[i] += bytes.Count(c.Data[:at.skip[i]], newline)
			}
		}
	}
	return at, true
}

// covers reports whether the result of q goes at least as far back as that of other.
func covers(q, other backends.LogQuery) bool {
	return (q.Lines < 0 || other.Lines >= 0 && other.Lines <= q.Lines) && !q.Since.After(other.Since)
}
