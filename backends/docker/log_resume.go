package docker

import (
	"bytes"
	"slices"
	"time"

	"nomadctld/backends"
)

// resumePoint is what of a log has been passed on, so that it can be gone on with. The times of each stream do not go
// back, but those of both may be mixed up a little, and the parts of a long line have the same.
type resumePoint struct {
	mayRepeat bool  // the log is followed in files that are rotated, and pieces may come again
	bytes     int64 // bytes
	first     time.Time
	streams   [2]struct {
		last time.Time // of the last piece
		same int64     // bytes that have this time
		edge time.Time // pieces up to this time, and so many bytes of it, are known already
		skip int64
		due  bool // the piece of that time was asked for again, and has not come yet

		recent []int64 // times of the newest pieces, a ring
		oldest int     // of recent
		newest []byte  // data of the newest piece
	}
}

// maxRecentTimes is of how many pieces the times are remembered. Docker up to 20.10 sends some lines again when the log that
// it follows is rotated; by their times they are told from new ones of a clock that was set back.
const maxRecentTimes = 4096

// maxSkew is by how much the times of two streams may be mixed up.
const maxSkew = 2 * time.Second

// resume returns since when the log is to be asked for again; news drops what is known of it. Zero: there was nothing.
func (d *resumePoint) resume() time.Time {
	if d.bytes == 0 {
		return time.Time{}
	}
	var from time.Time
	for i := range d.streams {
		s := &d.streams[i]
		s.edge, s.skip = s.last, s.same
		if s.last.After(from) {
			from = s.last
		}
	}
	if from = from.Add(-maxSkew); from.Before(d.first) {
		from = d.first
	}
	for i := range d.streams {
		s := &d.streams[i]
		s.due = !s.edge.IsZero() && !s.edge.Before(from)
	}
	return from
}

// unseen returns what of a piece is not known yet. gone: something before it is missing, or may be, because it was asked for
// again from a piece on that was not there any more.
func (d *resumePoint) unseen(p backends.LogChunk) (_ backends.LogChunk, gone bool) {
	s := &d.streams[0]
	if p.Stderr {
		s = &d.streams[1]
	}
	switch {
	case !d.mayRepeat || !s.edge.IsZero():
	case p.Time.Before(s.last) && slices.Contains(s.recent, p.Time.UnixNano()):
		s.edge, s.skip = s.last, s.same
	case p.Time.Equal(s.last) && bytes.HasSuffix(p.Data, newline) && bytes.Equal(p.Data, s.newest):
		p.Data = nil
	}
	if !s.edge.IsZero() {
		switch {
		case p.Time.Before(s.edge):
			p.Data = nil
		case p.Time.Equal(s.edge):
			n := min(s.skip, int64(len(p.Data)))
			p.Data, s.skip = p.Data[n:], s.skip-n
			for i := range d.streams { // what is older may go
				if !d.streams[i].edge.After(p.Time) {
					d.streams[i].due = false
				}
			}
		default:
			s.edge = time.Time{}
			gone, s.due = s.due, false
		}
	}
	if len(p.Data) == 0 {
		return p, gone
	}
	if d.bytes == 0 {
		d.first = p.Time
	}
	if !p.Time.Equal(s.last) {
		s.last, s.same = p.Time, 0
		switch {
		case !d.mayRepeat:
		case len(s.recent) < maxRecentTimes:
			s.recent = append(s.recent, p.Time.UnixNano())
		default:
			s.recent[s.oldest] = p.Time.UnixNano()
			s.oldest = (s.oldest + 1) % maxRecentTimes
		}
	}
	if d.mayRepeat {
		s.newest = append(s.newest[:0], p.Data...)
	}
	s.same += int64(len(p.Data))
	d.bytes += int64(len(p.Data))
	return p, gone
}
