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
	outputs   [2]struct {
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

// resumeFrom returns the time from which to request the log again, or zero if nothing was sent. unseen drops the known
// part.
func (r *resumePoint) resumeFrom() time.Time {
	if r.bytes == 0 {
		return time.Time{}
	}
	var from time.Time
	for i := range r.outputs {
		stream := &r.outputs[i]
		stream.knownUntil, stream.knownBytes = stream.lastTime, stream.lastBytes
		if stream.lastTime.After(from) {
			from = stream.lastTime
		}
	}
	if from = from.Add(-maxSkew); from.Before(r.first) {
		from = r.first
	}
	for i := range r.outputs {
		stream := &r.outputs[i]
		stream.pending = !stream.knownUntil.IsZero() && !stream.knownUntil.Before(from)
	}
	return from
}

// unseen returns the part of a chunk that was not sent yet. lost reports that earlier chunks are missing or may be: the
// log was requested from a chunk that no longer exists.
func (r *resumePoint) unseen(p backends.LogChunk) (_ backends.LogChunk, lost bool) {
	stream := &r.outputs[0]
	if p.Stderr {
		stream = &r.outputs[1]
	}
	switch {
	case !r.mayRepeat || !stream.knownUntil.IsZero():
	case p.Time.Before(stream.lastTime) && slices.Contains(stream.recent, p.Time.UnixNano()):
		stream.knownUntil, stream.knownBytes = stream.lastTime, stream.lastBytes
	case p.Time.Equal(stream.lastTime) && bytes.HasSuffix(p.Data, newline) && bytes.Equal(p.Data, stream.newest):
		p.Data = nil
	}
	if !stream.knownUntil.IsZero() {
		switch {
		case p.Time.Before(stream.knownUntil):
			p.Data = nil
		case p.Time.Equal(stream.knownUntil):
			n := min(stream.knownBytes, int64(len(p.Data)))
			p.Data, stream.knownBytes = p.Data[n:], stream.knownBytes-n
			for i := range r.outputs { // older chunks may be missing
				if !r.outputs[i].knownUntil.After(p.Time) {
					r.outputs[i].pending = false
				}
			}
		default:
			stream.knownUntil = time.Time{}
			lost, stream.pending = stream.pending, false
		}
	}
	if len(p.Data) == 0 {
		return p, lost
	}
	if r.bytes == 0 {
		r.first = p.Time
	}
	if !p.Time.Equal(stream.lastTime) {
		stream.lastTime, stream.lastBytes = p.Time, 0
		switch {
		case !r.mayRepeat:
		case len(stream.recent) < maxRecentTimes:
			stream.recent = append(stream.recent, p.Time.UnixNano())
		default:
			stream.recent[stream.oldest] = p.Time.UnixNano()
			stream.oldest = (stream.oldest + 1) % maxRecentTimes
		}
	}
	if r.mayRepeat {
		stream.newest = append(stream.newest[:0], p.Data...)
	}
	stream.lastBytes += int64(len(p.Data))
	r.bytes += int64(len(p.Data))
	return p, lost
}
