package backends

import (
	"bytes"
	"slices"
)

// logCursor is how far a viewer is in a stream.
type logCursor struct {
	caughtUp    bool    // the viewer knows that the stream is
	joinedAt    int     // number of the chunk that was next when the viewer joined: what is older is the past
	number      int     // of the next chunk
	from        [2]int  // number of the first chunk that is wanted, of each output
	skip        [2]int  // bytes of that chunk that are not
	unwanted    [2]bool // outputs
	linesPassed [2]int  // ends of lines that the viewer is past, of each output
	droppedSeen [2]int  // stream.buffers.droppedUpTo when the viewer was last told
	midLine     [2]bool // the rest of a line is still to be skipped
}

func unwantedOutputs(q LogQuery) [2]bool { return [2]bool{!q.Stdout, !q.Stderr} }

// How many chunks, and about how many bytes, a viewer gets at a time, so that a slow one does not hold on to much.
const (
	maxBatchChunks = 64
	maxBatchBytes  = 64 << 10
)

// batchLen returns how many pieces a viewer gets at a time.
func batchLen(pieces []LogChunk) int {
	size := 0
	for n, p := range pieces {
		if size += len(p.Data); n == maxBatchChunks || size > maxBatchBytes && n > 0 {
			return n
		}
	}
	return len(pieces)
}

// next returns what is next and moves the position on. When there is nothing yet, moved is closed once there is more;
// when there will be nothing any more it is nil, and err why.
func (s *logStream) next(at *logCursor) (pieces []LogChunk, moved <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buffers {
		if k := &s.buffers[i]; k.droppedUpTo > max(at.number, at.droppedSeen[i], at.from[i]) {
			lines := k.droppedLines - at.linesPassed[i]
			if k.droppedMidLine {
				lines++
			}
			if at.midLine[i] {
				lines-- // that end is the one of a line already told of
			}
			if lines > 0 && !at.unwanted[i] {
				pieces = append(pieces, LogChunk{Stderr: i == 1, Skipped: lines})
			}
			at.linesPassed[i], at.droppedSeen[i], at.midLine[i] = k.droppedLines, k.droppedUpTo, k.droppedMidLine
		}
	}
	for len(pieces) == 0 {
		chunks := s.chunksFrom(at.number)
		if s.caughtUp && !at.caughtUp {
			past := max(s.caughtUpAt, at.joinedAt)
			n, _ := slices.BinarySearchFunc(chunks, past, func(c bufferedChunk, n int) int { return c.number - n })
			if chunks = chunks[:n]; n == 0 {
				at.caughtUp = true
				return []LogChunk{{CaughtUp: true, Container: s.container}}, nil, nil
			}
		}
		if len(chunks) == 0 {
			break
		}
		for _, c := range chunks {
			if p, whole := at.advance(c); whole {
				pieces = append(pieces, p)
			}
		}
	}
	if len(pieces) > 0 || s.ended {
		return pieces, nil, s.err
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.changed, nil
}

// advance moves the position past a chunk, and returns what of it is to be seen, if anything.
func (at *logCursor) advance(c bufferedChunk) (p LogChunk, any bool) {
	i := c.Output()
	at.number = c.number + 1
	switch {
	case c.number < at.from[i]: // the position is past its lines already
		return p, false
	case c.number == at.from[i]:
		c.Data = c.Data[at.skip[i]:]
	}
	at.linesPassed[i] += bytes.Count(c.Data, newline)
	if at.unwanted[i] {
		return p, false
	}
	if c.isNotice() {
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

// chunksFrom returns the oldest chunks of both outputs from number on, in order.
func (s *logStream) chunksFrom(number int) []bufferedChunk {
	var found []bufferedChunk
	for i := range s.buffers {
		chunks := s.buffers[i].chunks
		first, _ := slices.BinarySearchFunc(chunks, number, func(c bufferedChunk, n int) int { return c.number - n })
		found = append(found, chunks[first:min(first+maxBatchChunks, len(chunks))]...)
	}
	sortChunks(found)
	return found[:batchLen(logChunks(found))]
}

func sortChunks(chunks []bufferedChunk) {
	slices.SortFunc(chunks, func(a, b bufferedChunk) int { return a.number - b.number })
}

func logChunks(chunks []bufferedChunk) []LogChunk {
	var pieces []LogChunk
	for _, c := range chunks {
		pieces = append(pieces, c.LogChunk)
	}
	return pieces
}

// cursorFor returns where a viewer begins who wants q, and whether enough is kept for that.
func (s *logStream) cursorFor(q LogQuery) (at logCursor, enough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended,
		!s.caughtUp && (q.Lines != s.query.Lines || !q.Since.Equal(s.query.Since) || q.AfterContainer != s.query.AfterContainer),
		s.caughtUp && q.AfterContainer != "" && (s.container == "" || s.container == q.AfterContainer):
		return at, false
	}
	at.number, at.joinedAt, at.unwanted = s.nextNumber, s.nextNumber, unwantedOutputs(q)
	at.from = [2]int{s.nextNumber, s.nextNumber}
	for i := range s.buffers {
		k := &s.buffers[i]
		at.droppedSeen[i], at.linesPassed[i] = k.droppedUpTo, k.droppedLines
		first, skip := len(k.chunks), 0
		if !at.unwanted[i] {
			var more bool
			first, skip, more = k.tail(q)
			if !more && (k.droppedUpTo > 0 || !s.query.covers(q)) {
				return at, false
			}
		}
		for _, c := range k.chunks[:first] {
			at.linesPassed[i] += bytes.Count(c.Data, newline)
		}
		if first < len(k.chunks) {
			c := k.chunks[first]
			at.linesPassed[i] += bytes.Count(c.Data[:skip], newline)
			at.from[i], at.skip[i] = c.number, skip
			at.number = min(at.number, c.number)
		}
	}
	return at, true
}

// covers reports whether a log that was asked for with q goes as far back as one asked for with other would.
func (q LogQuery) covers(other LogQuery) bool {
	return (q.Lines < 0 || other.Lines >= 0 && other.Lines <= q.Lines) && !q.Since.After(other.Since)
}

// tail returns what q wants of what is kept, from the chunk first on without skip bytes of that, and whether there is more,
// which it does not want.
func (k *logBuffer) tail(q LogQuery) (first, skip int, more bool) {
	first = len(k.chunks)
	left := q.Lines
	for i, c := range slices.Backward(k.chunks) {
		if left == 0 && (q.Lines == 0 || c.isNotice()) || !c.Time.IsZero() && c.Time.Before(q.Since) {
			more = true
			break
		}
		if i == len(k.chunks)-1 && !c.isNotice() && !bytes.HasSuffix(c.Data, newline) {
			left-- // a last line that has no end yet
		}
		part := c.Data
		if q.Lines >= 0 {
			part, more = lastLines(c.Data, &left)
		}
		if len(part) > 0 || c.isNotice() {
			first, skip = i, len(c.Data)-len(part)
		}
		if more {
			break
		}
	}
	return first, skip, more || q.Lines == 0
}

// lastLines returns the part of data that belongs to the last lines, reading from the end, and whether they begin in
// it. left is how many lines may still begin before its end.
func lastLines(data []byte, left *int) (part []byte, begun bool) {
	for end := len(data); ; {
		i := bytes.LastIndexByte(data[:end], '\n')
		if i < 0 {
			return data, false
		}
		if *left <= 0 {
			return data[i+1:], true
		}
		*left--
		end = i
	}
}
