package docker

import "time"

// readDelay says how long more of a busy stream is let come before it is read again. Whoever takes each piece as it comes
// has the daemon, the container's shim and the program woken for each, which is most of what such a stream costs.
type readDelay struct {
	bytes int       // taken since the last pause
	start time.Time // when that began
}

const (
	minDelayedBytes = 64 << 10             // what is less is shown at once
	maxDelayedRead  = 16 << 10             // what is read at once when nothing has gathered yet
	maxGathered     = 512 << 10            // half of what the daemon holds back before the program has to wait
	maxReadDelay    = 8 * time.Millisecond // at most; less than a person sees

	// A program that answers what is sent to it is not let wait: the next question may wait for the rest of its answer.
	replyGrace = 100 * time.Millisecond
)

// pause returns how long to wait after n bytes were read into a buffer of size bytes; sent is when something was last
// sent to the program.
func (g *readDelay) pause(n, size int, sent time.Time) time.Duration {
	g.bytes += n
	now := time.Now()
	if g.bytes < minDelayedBytes || n >= min(maxDelayedRead, size) || now.Sub(sent) < replyGrace {
		return 0
	}
	// For as long as the daemon would need, at the speed so far, to be half full.
	pause := min(maxReadDelay, now.Sub(g.start)/time.Duration(g.bytes)*maxGathered)
	g.bytes, g.start = 0, now
	return pause
}
