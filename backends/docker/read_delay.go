package docker

import "time"

// gathering says how long more of a busy stream is let come before it is read again. Whoever takes each piece as it comes
// has the daemon, the container's shim and the program woken for each, which is most of what such a stream costs.
type gathering struct {
	bytes int       // taken since the last pause
	since time.Time // when that began
}

const (
	gatherAfter = 64 << 10             // what is less is shown at once
	gatherBelow = 16 << 10             // what is read at once when nothing has gathered yet
	gatherMost  = 512 << 10            // half of what the daemon holds back before the program has to wait
	gatherTime  = 8 * time.Millisecond // at most; less than a person sees

	// A program that answers what is sent to it is not let wait: the next question may wait for the rest of its answer.
	answerTime = 100 * time.Millisecond
)

// pause returns how long to wait after n bytes were read into a buffer of size bytes; sent is when something was last
// sent to the program.
func (g *gathering) pause(n, size int, sent time.Time) time.Duration {
	g.bytes += n
	now := time.Now()
	if g.bytes < gatherAfter || n >= min(gatherBelow, size) || now.Sub(sent) < answerTime {
		return 0
	}
	// For as long as the daemon would need, at the speed so far, to be half full.
	pause := min(gatherTime, now.Sub(g.since)/time.Duration(g.bytes)*gatherMost)
	g.bytes, g.since = 0, now
	return pause
}
