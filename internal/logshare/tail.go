package logshare

import (
	"bytes"
	"cmp"
	"slices"

	"nomadctld/backends"
)

// position is the start of a line in the buffered chunks, or a notice.
type position struct {
	output      int
	number      int // of the chunk
	offset      int // in the chunk
	isNotice    bool
	isUnordered bool // the source does not know the order of stdout and stderr
}

// tail returns, for each output, the start of the part of the buffered chunks that q selects. It returns false if
// chunks that are not buffered may belong to that part. The caller holds mu.
func (s *stream) tail(q backends.LogQuery) (starts [2]position, ok bool) {
	end := position{number: s.nextNumber}
	starts = [2]position{end, end}
	if q.Lines == 0 {
		return starts, true
	}
	var all []position
	dropped := 0
	ok = true
	for i := range s.buffers {
		b := &s.buffers[i]
		found, lines, hasOlder := b.positions(i, q, s.query.Lines == 0)
		all = append(all, found...)
		dropped = max(dropped, b.droppedUpTo)
		ok = ok && (hasOlder || q.Lines > 0 && lines == q.Lines || b.droppedUpTo == 0 && covers(s.query, q))
	}
	slices.SortFunc(all, func(a, b position) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.offset, b.offset))
	})
	selected, ordered := lastLines(all, q.Lines)
	if len(selected) == 0 {
		return starts, ok
	}
	oldest := selected[0]
	ok = ok || ordered == q.Lines && oldest.number >= dropped // the buffers have everything since then
	var hasLine [2]bool
	for _, p := range slices.Backward(selected) {
		starts[p.output], hasLine[p.output] = p, true
	}
	for _, p := range slices.Backward(all) {
		if p.isNotice && !hasLine[p.output] && p.number > oldest.number {
			starts[p.output] = p
		}
	}
	return starts, ok
}

// lastLines returns the positions of the last n lines, or all positions if n is negative. ordered is the number of
// lines of which the order is known.
func lastLines(all []position, n int) (last []position, ordered int) {
	if n < 0 {
		return all, 0
	}
	var unordered [2]int
	for _, p := range all {
		switch {
		case p.isNotice:
		case p.isUnordered:
			unordered[p.output]++
		default:
			ordered++
		}
	}
	ordered = min(ordered, n)
	left, share := ordered, backends.ShareLines(n-ordered, unordered)
	for _, p := range slices.Backward(all) {
		of := &left
		if p.isUnordered {
			of = &share[p.output]
		}
		if p.isNotice || *of == 0 {
			continue
		}
		*of--
		last = append(last, p)
	}
	slices.Reverse(last)
	return last, ordered
}

// positions returns the last q.Lines lines of the buffer that are not older than q.Since, the notices between them, and
// the number of these lines. hasOlder: the buffer has lines that are older than q.Since. startsMidLine: the stream may
// have started in the middle of a line.
func (b *buffer) positions(
	output int, q backends.LogQuery, startsMidLine bool,
) (found []position, lines int, hasOlder bool) {
	if b.droppedUpTo > 0 {
		startsMidLine = b.droppedMidLine
	}
	for i, c := range slices.Backward(b.chunks) {
		switch {
		case lines == q.Lines:
			return found, lines, false
		case !c.Time.IsZero() && c.Time.Before(q.Since):
			return found, lines, true
		}
		at := position{output: output, number: c.number, isNotice: c.IsNotice(), isUnordered: c.Unordered}
		if c.IsNotice() {
			found = append(found, at)
			continue
		}
		isStart := !startsMidLine
		if i > 0 {
			isStart = b.chunks[i-1].IsNotice() || bytes.HasSuffix(b.chunks[i-1].Data, newline)
		}
		for end := len(c.Data); end > 0 && lines != q.Lines; { // end: where the line ends
			at.offset = bytes.LastIndexByte(c.Data[:end-1], '\n') + 1
			if end = at.offset; end == 0 && !isStart {
				break
			}
			found = append(found, at)
			lines++
		}
	}
	return found, lines, false
}
