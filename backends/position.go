package backends

import (
	"bytes"
	"slices"
)

// position is how far a viewer is in a stream.
type position struct {
	history []Piece // to be seen before anything else
	number  int     // of the next chunk
	lines   [2]int  // ends of lines that the viewer is past, of each output
	missed  [2]int  // stream.kept.gone when the viewer was last told
	torn    [2]bool // the rest of a line is still to be skipped
}

// atOnce is how many chunks a viewer gets at a time, so that a slow one does not hold on to much.
const atOnce = 64

// next returns what is next and moves the position on. When there is nothing yet, moved is closed once there is more;
// when there will be nothing any more it is nil, and err why.
func (s *stream) next(at *position) (pieces []Piece, moved <-chan struct{}, err error) {
	if len(at.history) > 0 {
		pieces, at.history = at.history, nil
		return pieces, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		if k := &s.kept[i]; k.gone > max(at.number, at.missed[i]) {
			lines := k.lines - at.lines[i]
			if k.ragged {
				lines++
			}
			if at.torn[i] {
				lines-- // that end is the one of a line already told of
			}
			if lines > 0 {
				pieces = append(pieces, Piece{Stderr: i == 1, Skipped: lines})
			}
			at.lines[i], at.missed[i], at.torn[i] = k.lines, k.gone, k.ragged
		}
	}
	for chunks := s.since(at.number); len(pieces) == 0 && len(chunks) > 0; chunks = s.since(at.number) {
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
	at.lines[i] += bytes.Count(c.Data, newline)
	at.number = c.number + 1
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
	slices.SortFunc(found, func(a, b chunk) int { return a.number - b.number })
	return found[:min(atOnce, len(found))]
}

// begin returns where a viewer begins who wants the last lines, negative for all, and whether enough is kept for that.
// Where the pieces have times the source counts both outputs together, else each for itself.
func (s *stream) begin(lines int) (at position, enough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return at, false
	}
	at.number = s.number
	var all []chunk
	for i := range s.kept {
		k := &s.kept[i]
		all = append(all, k.chunks...)
		at.lines[i] = k.lines
		for _, c := range k.chunks {
			at.lines[i] += bytes.Count(c.Data, newline)
		}
	}
	slices.SortFunc(all, func(a, b chunk) int { return a.number - b.number })
	left := [2]int{lines, lines}
	var cut, seen [2]bool
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i].Piece
		o := p.Output()
		if !p.Time.IsZero() {
			o = 0
		}
		if !seen[o] && !bytes.HasSuffix(p.Data, newline) {
			left[o]-- // a last line that has no end yet
		}
		seen[o] = true
		if cut[o] || lines == 0 {
			cut[o] = true
			continue
		}
		if lines >= 0 {
			p.Data, cut[o] = lastLines(p.Data, &left[o])
		}
		if len(p.Data) > 0 {
			at.history = append(at.history, p)
		}
	}
	slices.Reverse(at.history)
	for i, k := range s.kept {
		together := len(all) > 0 && !all[0].Time.IsZero()
		if k.gone > 0 && !cut[i] && !(together && cut[0]) {
			return at, false
		}
	}
	return at, true
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
