package docker

import (
	"bytes"
	"slices"
	"time"

	"nomadctld/backends"
)

// resumePoint remembers how much of a log was sent, so that an interrupted log can be resumed. Unless the clock was set
// back, times never decrease within an output. The two outputs may be slightly out of order, and the parts of a long
// line have the same time.
type resumePoint struct {
	mayRepeat bool  // the log files rotate, so chunks may come again
	bytes     int64 // sent so far
	first     time.Time
	outputs   [2]struct {
		lastTime   time.Time // of the last chunk
		lastBytes  int64     // bytes with this time
		knownUntil time.Time // already sent: everything before this time, and knownBytes bytes with exactly this time
		knownBytes int64
		pending    bool // the chunk at knownUntil was requested again and has not come yet

		recent []int64 // times of the newest chunks, a ring buffer
		oldest int     // index in recent
		newest []byte  // data of the newest chunk
	}
}

// maxRecentTimes is the number of chunk times to remember. Docker up to 20.10 sends some lines again when the followed
// log is rotated. A repeated line has a remembered time. A new line whose time is earlier, because the clock was set
// back, does not.
const maxRecentTimes = 4096

// maxSkew bounds how far the times of the two outputs may be out of order.
const maxSkew = 2 * time.Second

// resumeFrom prepares takeUnseen for a repeated request, and returns the time from which to request the log again, or
// zero if nothing was sent.
func (r *resumePoint) resumeFrom() time.Time {
	if r.bytes == 0 {
		return time.Time{}
	}
	var from time.Time
	for i := range r.outputs {
		output := &r.outputs[i]
		output.knownUntil, output.knownBytes = output.lastTime, output.lastBytes
		if output.lastTime.After(from) {
			from = output.lastTime
		}
	}
	if from = from.Add(-maxSkew); from.Before(r.first) {
		from = r.first
	}
	for i := range r.outputs {
		output := &r.outputs[i]
		output.pending = !output.knownUntil.IsZero() && !output.knownUntil.Before(from)
	}
	return from
}

// takeUnseen returns the part of a chunk that was not sent yet, and records it as sent. lost: earlier chunks may be
// missing, because the chunk from which the log was requested no longer exists.
func (r *resumePoint) takeUnseen(p backends.LogChunk) (_ backends.LogChunk, lost bool) {
	output := &r.outputs[0]
	if p.Stderr {
		output = &r.outputs[1]
	}
	switch {
	case !r.mayRepeat || !output.knownUntil.IsZero():
	case p.Time.Before(output.lastTime) && slices.Contains(output.recent, p.Time.UnixNano()):
		output.knownUntil, output.knownBytes = output.lastTime, output.lastBytes
	case p.Time.Equal(output.lastTime) && bytes.HasSuffix(p.Data, newline) && bytes.Equal(p.Data, output.newest):
		p.Data = nil
	}
	if !output.knownUntil.IsZero() {
		switch {
		case p.Time.Before(output.knownUntil):
			p.Data = nil
		case p.Time.Equal(output.knownUntil):
			n := min(output.knownBytes, int64(len(p.Data)))
			p.Data, output.knownBytes = p.Data[n:], output.knownBytes-n
			// The log still has chunks of this time. Older ones were sent before; Docker may have deleted them.
			for i := range r.outputs {
				if !r.outputs[i].knownUntil.After(p.Time) {
					r.outputs[i].pending = false
				}
			}
		default:
			output.knownUntil = time.Time{}
			lost, output.pending = output.pending, false
		}
	}
	if len(p.Data) == 0 {
		return p, lost
	}
	if r.bytes == 0 {
		r.first = p.Time
	}
	if !p.Time.Equal(output.lastTime) {
		output.lastTime, output.lastBytes = p.Time, 0
		switch {
		case !r.mayRepeat:
		case len(output.recent) < maxRecentTimes:
			output.recent = append(output.recent, p.Time.UnixNano())
		default:
			output.recent[output.oldest] = p.Time.UnixNano()
			output.oldest = (output.oldest + 1) % maxRecentTimes
		}
	}
	if r.mayRepeat {
		output.newest = append(output.newest[:0], p.Data...)
	}
	output.lastBytes += int64(len(p.Data))
	r.bytes += int64(len(p.Data))
	return p, lost
}
