package backends

import (
	"bytes"
	"slices"
)

// position is how far a viewer is in a stream.
type position struct {
	live     bool    // the viewer knows that the stream is
	joined   int     // number of the chunk that was next when the viewer joined: what is older is the past
	number   int     // of the next chunk
	from     [2]int  // number of the first chunk that is wanted, of each output
	skip     [2]int  // bytes of that chunk that are not
	unwanted [2]bool // outputs
	lines    [2]int  // ends of lines that the viewer is past, of each output
	missed   [2]int  // stream.kept.gone when the viewer was last told
	torn     [2]bool // the rest of a line is still to be skipped
}

func unwanted(q LogQuery) [2]bool { return [2]bool{!q.Stdout, !q.Stderr} }

// How many chunks, and about how many bytes, a viewer gets at a time, so that a slow one does not hold on to much.
const (
	atOnce      = 64
	bytesAtOnce = 64 << 10
)

// portion returns how many pieces a viewer gets at a time.
func portion(pieces []Piece) int {
	size := 0
	for n, p := range pieces {
		if size += len(p.Data); n == atOnce || size > bytesAtOnce && n > 0 {
			return n
		}
	}
	return len(pieces)
}

// next returns what is next and moves the position on. When there is nothing yet, moved is closed once there is more;
// when there will be nothing any more it is nil, and err why.
func (s *stream) next(at *position) (pieces []Piece, moved <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		if k := &s.kept[i]; k.gone > max(at.number, at.missed[i], at.from[i]) {
			lines := k.lines - at.lines[i]
			if k.ragged {
				lines++
			}
			if at.torn[i] {
				lines-- // that end is the one of a line already told of
			}
			if lines > 0 && !at.unwanted[i] {
				pieces = append(pieces, Piece{Stderr: i == 1, Skipped: lines})
			}
			at.lines[i], at.missed[i], at.torn[i] = k.lines, k.gone, k.ragged
		}
	}
	for len(pieces) == 0 {
		chunks := s.since(at.number)
		if s.live && !at.live {
			past := max(s.liveAt, at.joined)
			n, _ := slices.BinarySearchFunc(chunks, past, func(c chunk, n int) int { return c.number - n })
			if chunks = chunks[:n]; n == 0 {
				at.live = true
				return []Piece{{Live: true, Container: s.container}}, nil, nil
			}
		}
		if len(chunks) == 0 {
			break
		}
		for _, c := range chunks {
			if p, whole := at.past(c); whole {
				pieces = append(pieces, p)
			}
		}
	}
	if len(pieces) > 0 || s.ended {
		return pieces, nil, s.err
	}
	if s.moved == nil {
		s.moved = make(chan struct{})
	}
	return nil, s.moved, nil
}

// past moves the position past a chunk, and returns what of it is to be seen, if anything.
func (at *position) past(c chunk) (p Piece, any bool) {
	i := c.Output()
	at.number = c.number + 1
	switch {
	case c.number < at.from[i]: // the position is past its lines already
		return p, false
	case c.number == at.from[i]:
		c.Data = c.Data[at.skip[i]:]
	}
	at.lines[i] += bytes.Count(c.Data, newline)
	if at.unwanted[i] {
		return p, false
	}
	if c.isRemark() {
		at.torn[i] = false
		return c.Piece, true
	}
	if at.torn[i] {
		end := bytes.IndexByte(c.Data, '\n')
		if end < 0 {
			return p, false
		}
		c.Data, at.torn[i] = c.Data[end+1:], false
	}
	return c.Piece, len(c.Data) > 0
}

// since returns the oldest chunks of both outputs from number on, in order.
func (s *stream) since(number int) []chunk {
	var found []chunk
	for i := range s.kept {
		chunks := s.kept[i].chunks
		first, _ := slices.BinarySearchFunc(chunks, number, func(c chunk, n int) int { return c.number - n })
		found = append(found, chunks[first:min(first+atOnce, len(chunks))]...)
	}
	sortChunks(found)
	return found[:portion(piecesOf(found))]
}

func sortChunks(chunks []chunk) {
	slices.SortFunc(chunks, func(a, b chunk) int { return a.number - b.number })
}

func piecesOf(chunks []chunk) []Piece {
	var pieces []Piece
	for _, c := range chunks {
		pieces = append(pieces, c.Piece)
	}
	return pieces
}

// begin returns where a viewer begins who wants q, and whether enough is kept for that.
func (s *stream) begin(q LogQuery) (at position, enough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended,
		!s.live && (q.Lines != s.query.Lines || !q.Since.Equal(s.query.Since) || q.After != s.query.After),
		s.live && q.After != "" && (s.container == "" || s.container == q.After):
		return at, false
	}
	at.number, at.joined, at.unwanted = s.number, s.number, unwanted(q)
	at.from = [2]int{s.number, s.number}
	for i := range s.kept {
		k := &s.kept[i]
		at.missed[i], at.lines[i] = k.gone, k.lines
		first, skip := len(k.chunks), 0
		if !at.unwanted[i] {
			var more bool
			first, skip, more = k.last(q)
			if !more && (k.gone > 0 || !s.query.covers(q)) {
				return at, false
			}
		}
		for _, c := range k.chunks[:first] {
			at.lines[i] += bytes.Count(c.Data, newline)
		}
		if first < len(k.chunks) {
			c := k.chunks[first]
			at.lines[i] += bytes.Count(c.Data[:skip], newline)
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

// last returns what q wants of what is kept, from the chunk first on without skip bytes of that, and whether there is more,
// which it does not want.
func (k *kept) last(q LogQuery) (first, skip int, more bool) {
	first = len(k.chunks)
	left := q.Lines
	for i, c := range slices.Backward(k.chunks) {
		if left == 0 && (q.Lines == 0 || c.isRemark()) || !c.Time.IsZero() && c.Time.Before(q.Since) {
			more = true
			break
		}
		if i == len(k.chunks)-1 && !c.isRemark() && !bytes.HasSuffix(c.Data, newline) {
			left-- // a last line that has no end yet
		}
		part := c.Data
		if q.Lines >= 0 {
			part, more = lastLines(c.Data, &left)
		}
		if len(part) > 0 || c.isRemark() {
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
