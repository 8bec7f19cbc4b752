package docker

import (
	"bytes"
	"slices"
	"time"

	"nomadctld/backends"
)

// resumePoint remembers how much of a log was sent, so that an interrupted log can be resumed. Times never decrease
// within a stream, but the two streams may be slightly out of order, and the parts of a long line have the same time.
type resumePoint struct {
	mayRepeat bool  // the log files rotate, so chunks may come again
	bytes     int64 // sent so far
	first     time.Time
	streams   [2]struct {
		lastTime   time.Time // of the last chunk
		lastBytes  int64     // bytes with this time
		knownUntil time.Time // chunks up to this time, and knownBytes of it, were already sent
		knownBytes int64
		pending    bool // the chunk at knownUntil was requested again and has not come yet

		recent []int64 // times of the newest chunks, a ring buffer
		oldest int     // index in recent
		newest []byte  // data of the newest chunk
	}
}

// maxRecentTimes is the number of chunk times to remember. Docker up to 20.10 sends some lines again when the followed
// log is rotated. The times distinguish them from new lines after the clock was set back.
const maxRecentTimes = 4096

// maxSkew bounds how far the times of the two streams may be out of order.
const maxSkew = 2 * time.Second

// resume returns the time from which to request the log again, or zero if nothing was sent. unseen drops the known
// part.
func (d *resumePoint) resume() time.Time {
	if d.bytes == 0 {
		return time.Time{}
	}
	var from time.Time
	for i := range d.streams {
		s := &d.streams[i]
		s.knownUntil, s.knownBytes = s.lastTime, s.lastBytes
		if s.lastTime.After(from) {
			from = s.lastTime
		}
	}
	if from = from.Add(-maxSkew); from.Before(d.first) {
		from = d.first
	}
	for i := range d.streams {
		s := &d.streams[i]
		s.pending = !s.knownUntil.IsZero() && !s.knownUntil.Before(from)
	}
	return from
}

// unseen returns the part of a chunk that was not sent yet. lost reports that earlier chunks are missing or may be: the
// log was requested from a chunk that no longer exists.
func (d *resumePoint) unseen(p backends.LogChunk) (_ backends.LogChunk, lost bool) {
	s := &d.streams[0]
	if p.Stderr {
		s = &d.streams[1]
	}
	switch {
	case !d.mayRepeat || !s.knownUntil.IsZero():
	case p.Time.Before(s.lastTime) && slices.Contains(s.recent, p.Time.UnixNano()):
		s.knownUntil, s.knownBytes = s.lastTime, s.lastBytes
	case p.Time.Equal(s.lastTime) && bytes.HasSuffix(p.Data, newline) && bytes.Equal(p.Data, s.newest):
		p.Data = nil
	}
	if !s.knownUntil.IsZero() {
		switch {
		case p.Time.Before(s.knownUntil):
			p.Data = nil
		case p.Time.Equal(s.knownUntil):
			n := min(s.knownBytes, int64(len(p.Data)))
			p.Data, s.knownBytes = p.Data[n:], s.knownBytes-n
			for i := range d.streams { // older chunks may be missing
				if !d.streams[i].knownUntil.After(p.Time) {
					d.streams[i].pending = false
				}
			}
		default:
			s.knownUntil = time.Time{}
			lost, s.pending = s.pending, false
		}
	}
	if len(p.Data) == 0 {
		return p, lost
	}
	if d.bytes == 0 {
		d.first = p.Time
	}
	if !p.Time.Equal(s.lastTime) {
		s.lastTime, s.lastBytes = p.Time, 0
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
	s.lastBytes += int64(len(p.Data))
	d.bytes += int64(len(p.Data))
	return p, lost
}
