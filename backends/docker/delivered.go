package docker

import (
	"time"

	"nomadctld/backends"
)

// delivered is what of a log has been passed on, so that it can be gone on with. The times of each stream do not go
// back, but those of both may be mixed up a little, and the parts of a long line have the same.
type delivered struct {
	count   int64 // bytes
	first   time.Time
	streams [2]struct {
		last time.Time // of the last piece
		same int64     // bytes that have this time
		edge time.Time // pieces up to this time, and so many bytes of it, are known already
		skip int64
	}
}

// overlap is by how much the times of two streams may be mixed up.
const overlap = 2 * time.Second

// resume returns since when the log is to be asked for again; news drops what is known of it. Zero: there was nothing.
func (d *delivered) resume() time.Time {
	if d.count == 0 {
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
	if from = from.Add(-overlap); from.Before(d.first) {
		return d.first
	}
	return from
}

// news returns what of a piece is not known yet.
func (d *delivered) news(p backends.Piece) backends.Piece {
	s := &d.streams[0]
	if p.Stderr {
		s = &d.streams[1]
	}
	if !s.edge.IsZero() {
		switch {
		case p.Time.Before(s.edge):
			p.Data = nil
		case p.Time.Equal(s.edge):
			n := min(s.skip, int64(len(p.Data)))
			p.Data, s.skip = p.Data[n:], s.skip-n
		default:
			s.edge = time.Time{}
		}
	}
	if len(p.Data) == 0 {
		return p
	}
	if d.count == 0 {
		d.first = p.Time
	}
	if !p.Time.Equal(s.last) {
		s.last, s.same = p.Time, 0
	}
	s.same += int64(len(p.Data))
	d.count += int64(len(p.Data))
	return p
}
