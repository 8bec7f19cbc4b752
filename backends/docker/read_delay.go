package docker

import "time"

// readDelay decides how long to wait before the next read of a busy stream. Reading every small chunk immediately wakes
// the daemon, the container's shim and the program each time, which is most of the cost of such a stream.
type readDelay struct {
	bytes int       // read since the last pause
	start time.Time // of the count
}

const (
	minDelayedBytes   = 64 << 10             // less is shown at once
	maxDelayedRead    = 16 << 10             // larger reads are not delayed
	maxDaemonBuffered = 512 << 10            // half of the daemon's buffer, which blocks the program when full
	maxReadDelay      = 8 * time.Millisecond // too short to notice

	// A program that responds to input is not delayed: the next input may depend on its output.
	replyGrace = 100 * time.Millisecond
)

// pause returns how long to wait after a read of n bytes into a buffer of size bytes. sent is the time of the last
// input to the program.
func (d *readDelay) pause(n, size int, sent time.Time) time.Duration {
	d.bytes += n
	now := time.Now()
	if d.bytes < minDelayedBytes || n >= min(maxDelayedRead, size) || now.Sub(sent) < replyGrace {
		return 0
	}
	// At the current rate the daemon's buffer is half full after this time.
	pause := min(maxReadDelay, now.Sub(d.start)/time.Duration(d.bytes)*maxDaemonBuffered)
	d.bytes, d.start = 0, now
	return pause
}
