package docker

import (
	"bytes"
	"context"
	"time"

	"nomadctld/backends"
)

const (
	tailGrowth    = 4      // by how much more is asked for when there were too few lines
	maxTailSearch = 20_000 // entries; farther back no lines are looked for of an output that is written to rarely
)

// countTail finds out how much to ask for, and how many lines of that to skip of each output, so that the last query.Lines
// of each remain. The daemon counts entries, which are of both outputs and may be parts of a line; so they are counted
// before. While the other output has enough, one that is written to rarely is not looked for in all of a long log.
func (l *logReader) countTail(ctx context.Context, wanted *logRequest) error {
	r := *wanted
	r.stdout, r.stderr, r.follow, r.times = true, true, false, true
	asks := [2]bool{l.query.Stdout, l.query.Stderr}
	for r.tail = l.query.Lines + 1; ; r.tail *= tailGrowth { // one more, as the first may be the end of a line
		l.stored = storedLog{}
		var begins [2]time.Time
		var lines [2]int
		var open [2]bool
		count := 0
		err := l.fetch(ctx, r, func(p backends.LogChunk, first bool) error {
			if begins[p.Output()].IsZero() {
				begins[p.Output()] = p.Time
			}
			if first {
				count++
			}
			l.newest = p.Time
			l.stored.add(p, first)
			if len(p.Data) > 0 {
				lines[p.Output()] += bytes.Count(p.Data, newline)
				open[p.Output()] = p.Data[len(p.Data)-1] != '\n'
			}
			return nil
		})
		if err != nil {
			return err
		}
		all, enough, some := count < r.tail, true, false
		for i := range asks {
			if open[i] {
				lines[i]++
			}
			if asks[i] {
				l.skip[i] = max(0, lines[i]-l.query.Lines)
				enough = enough && lines[i] > l.query.Lines
				some = some || lines[i] > l.query.Lines
			}
		}
		switch {
		case all:
			// Asked for by number, docker reads from the end, as it has been read here: where the log is damaged that makes a
			// difference. The margin is for lines written in between.
			wanted.tail = 2*r.tail + 10_000
			if l.query.OnRetained == nil || l.query.AfterContainer != "" || !wanted.since.IsZero() && !l.rotates() {
				return nil
			}
			l.stored = storedLog{}
			return l.scanAll(ctx) // from the start: only so docker reports damage, and what was counted may begin at a time
		case enough, some && r.tail >= max(maxTailSearch, tailGrowth*l.query.Lines):
			// Counted from the end again, but with a margin for lines written in between; the time is what counts.
			wanted.tail = 2*r.tail + 10_000
			l.from = begins
			if wanted.since = begins[0]; begins[0].IsZero() || !begins[1].IsZero() && begins[1].Before(begins[0]) {
				wanted.since = begins[1]
			}
		default:
			continue
		}
		return nil
	}
}

// findNewest finds out when the newest entry was written.
func (l *logReader) findNewest(ctx context.Context) error {
	r := logRequest{stdout: true, stderr: true, times: true, tail: 1}
	return l.fetch(ctx, r, func(p backends.LogChunk, _ bool) error {
		l.newest = p.Time
		return nil
	})
}

// maxEntries is more than are counted; of more lines than that, all come.
const maxEntries = 1 << 28

var newline = []byte{'\n'}

// dropLines takes up to most lines from the beginning of a piece, and returns how many it has taken the end of.
func dropLines(p *backends.LogChunk, most int) (dropped int) {
	for dropped < most {
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
