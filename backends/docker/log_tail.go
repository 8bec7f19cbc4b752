package docker

import (
	"bytes"
	"context"
	"time"

	"nomadctld/backends"
)

const tailGrowth = 4 // the growth of the next request if there were too few lines

// countTail determines how many entries to request, and how many lines to skip, so that the last query.Lines lines of
// the selected outputs remain. The daemon counts entries of both outputs, and a long line has several entries, so it
// cannot count lines.
func (l *logReader) countTail(ctx context.Context, wanted *logRequest) error {
	r := *wanted
	r.stdout, r.stderr, r.follow, r.times = true, true, false, true
	for r.tail = l.query.Lines + 1; ; r.tail *= tailGrowth { // one more: the first entry may be the end of a line
		l.stored = storedLog{}
		var window tailWindow
		count := 0
		err := l.fetch(ctx, r, func(p backends.LogChunk, first bool) error {
			if first {
				count++
			}
			l.newest = p.Time
			l.stored.add(p, first)
			window.add(p, l.query)
			return nil
		})
		if err != nil {
			return err
		}
		skip := max(0, window.lines-l.query.Lines)
		l.skip = lineSkipper{lines: skip}
		switch {
		case count < r.tail: // all entries
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
		case skip > 0 && !window.mayCut(skip):
			// Request more entries than were counted, for lines written in between. l.from decides which lines are
			// sent.
			wanted.tail = 2*r.tail + 10_000
			l.from = window.firstTimes
			wanted.since = window.start
			for _, first := range l.from {
				if !first.IsZero() && first.Before(wanted.since) {
					wanted.since = first
				}
			}
			return nil
		}
	}
}

// tailWindow counts the lines of the selected outputs in the newest entries of a log. Arrays are indexed by output.
type tailWindow struct {
	start       time.Time    // of the first entry
	lines       int          // including a line of which only a part is in the window
	linesBefore [2]int       // number of lines before each output's first line
	firstTimes  [2]time.Time // time of each output's first entry; zero: none
	midLine     [2]bool      // the newest line of an output is not complete
}

// add counts the lines that start in a chunk.
func (w *tailWindow) add(p backends.LogChunk, q backends.LogQuery) {
	i := p.OutputIndex()
	if w.start.IsZero() {
		w.start = p.Time
	}
	if p.Stderr && !q.Stderr || !p.Stderr && !q.Stdout {
		return
	}
	if w.firstTimes[i].IsZero() {
		w.firstTimes[i], w.linesBefore[i] = p.Time, w.lines
	}
	if len(p.Data) == 0 {
		return
	}
	ended := bytes.Count(p.Data, newline)
	w.lines += ended
	endsMidLine := p.Data[len(p.Data)-1] != '\n'
	if w.midLine[i] {
		w.lines--
	}
	if endsMidLine {
		w.lines++
	}
	w.midLine[i] = endsMidLine
}

// mayCut reports whether a line that is not skipped may start before the window. All parts of a long line have the time
// of the first part. So a line that is newer than the first entry starts in the window.
func (w *tailWindow) mayCut(skip int) bool {
	for i, first := range w.firstTimes {
		if !first.IsZero() && w.linesBefore[i] >= skip && !first.After(w.start) {
			return true
		}
	}
	return false
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

// lineSkipper skips a number of lines, in the order in which they start. Arrays are indexed by output.
type lineSkipper struct {
	lines    int     // to skip
	midLine  [2]bool // the newest line of an output is not complete
	skipping [2]bool // that line is skipped
}

// rest returns the data of a chunk after the skipped lines.
func (s *lineSkipper) rest(p backends.LogChunk) []byte {
	i, data := p.OutputIndex(), p.Data
	for len(data) > 0 {
		if !s.midLine[i] {
			if s.skipping[i] = s.lines > 0; s.skipping[i] {
				s.lines--
			}
		}
		end := len(data)
		if s.skipping[i] {
			end = bytes.IndexByte(data, '\n') + 1
		}
		if end == 0 {
			s.midLine[i] = true
			return nil
		}
		if s.midLine[i] = data[end-1] != '\n'; !s.skipping[i] {
			break
		}
		data = data[end:]
	}
	return data
}
