package docker

import (
	"bytes"
	"context"
	"time"

	"nomadctld/backends"
)

const (
	tailGrowth    = 4      // the growth of the next request if there were too few lines
	maxTailSearch = 20_000 // entries to search, or tailGrowth*lines if more, for lines of a rarely written output
)

// countTail determines how many entries to request, and how many lines of each output to skip, so that the last
// query.Lines lines of each output remain. The daemon counts entries of both outputs together, and a long line has
// several entries, so it cannot count lines. If one output has enough lines, maxTailSearch bounds the search for lines
// of the other, rarely written one.
func (l *logReader) countTail(ctx context.Context, wanted *logRequest) error {
	r := *wanted
	r.stdout, r.stderr, r.follow, r.times = true, true, false, true
	outputs := [2]bool{l.query.Stdout, l.query.Stderr}
	for r.tail = l.query.Lines + 1; ; r.tail *= tailGrowth { // one more: the first entry may be the end of a line
		l.stored = storedLog{}
		var firstTimes [2]time.Time
		var lines [2]int
		var partialLine [2]bool
		count := 0
		err := l.fetch(ctx, r, func(p backends.LogChunk, first bool) error {
			if firstTimes[p.OutputIndex()].IsZero() {
				firstTimes[p.OutputIndex()] = p.Time
			}
			if first {
				count++
			}
			l.newest = p.Time
			l.stored.add(p, first)
			if len(p.Data) > 0 {
				lines[p.OutputIndex()] += bytes.Count(p.Data, newline)
				partialLine[p.OutputIndex()] = p.Data[len(p.Data)-1] != '\n'
			}
			return nil
		})
		if err != nil {
			return err
		}
		all, enough, anyEnough := count < r.tail, true, false
		for i := range outputs {
			if partialLine[i] {
				lines[i]++
			}
			if outputs[i] {
				l.skip[i] = max(0, lines[i]-l.query.Lines)
				enough = enough && lines[i] > l.query.Lines
				anyEnough = anyEnough || lines[i] > l.query.Lines
			}
		}
		switch {
		case all:
			// Request a number instead of all, so that Docker reads from the end, as it did here. That matters if the log
			// is damaged. The margin is for lines written in between.
			wanted.tail = 2*r.tail + 10_000
			if l.query.OnRetained == nil || l.query.AfterContainer != "" || !wanted.since.IsZero() && !l.rotates() {
				return nil
			}
			l.stored = storedLog{}
			// Read from the start: reading from the end, Docker stops at damage without reporting it, so the count may
			// cover only the part after the damage.
			return l.scanAll(ctx)
		case enough, anyEnough && r.tail >= max(maxTailSearch, tailGrowth*l.query.Lines):
			// Request more entries than were counted, for lines written in between. l.from decides which lines are
			// sent.
			wanted.tail = 2*r.tail + 10_000
			l.from = firstTimes
			stdoutTime, stderrTime := firstTimes[0], firstTimes[1]
			if wanted.since = stdoutTime; stdoutTime.IsZero() || !stderrTime.IsZero() && stderrTime.Before(stdoutTime) {
				wanted.since = stderrTime
			}
		default:
			continue
		}
		return nil
	}
}

// findNewest finds the time of the newest entry.
func (l *logReader) findNewest(ctx context.Context) error {
	r := logRequest{stdout: true, stderr: true, times: true, tail: 1}
	return l.fetch(ctx, r, func(p backends.LogChunk, _ bool) error {
		l.newest = p.Time
		return nil
	})
}

// maxTailLines bounds the lines that are counted. Requests for more lines return the whole log.
const maxTailLines = 1 << 28

var newline = []byte{'\n'}

// dropLines removes up to limit lines from the start of a chunk and returns how many line ends it removed.
func dropLines(p *backends.LogChunk, limit int) (dropped int) {
	for dropped < limit {
		at := bytes.IndexByte(p.Data, '\n')
		if at < 0 {
			p.Data = nil
			return dropped
		}
		p.Data = p.Data[at+1:]
		dropped++
	}
	return dropped
}
