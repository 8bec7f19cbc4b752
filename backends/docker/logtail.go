package docker

import (
	"bytes"
	"context"
	"time"

	"nomadctld/backends"
)

// tailMore is by how much more is asked for when there were too few lines.
const tailMore = 4

// measure finds out how much to ask for, and how many lines of that to skip, so that the last query.Lines remain. The
// daemon counts entries, which are of both streams and may be parts of a line; so they are counted before.
func (l *log) measure(ctx context.Context, wanted *request) (skip int, err error) {
	r := *wanted
	r.stdout, r.stderr, r.follow, r.times = true, true, false, true
	if l.query.Lines > mostEntries {
		wanted.tail = -1
		return 0, nil
	}
	r.tail = l.query.Lines + 1 // the first may be the end of a line
	if !l.query.Stdout || !l.query.Stderr {
		r.tail *= tailMore
	}
	for {
		var begin time.Time
		lines, count, open := 0, 0, false
		err := l.fetch(ctx, r, func(p backends.Piece, first bool) error {
			if count == 0 {
				begin = p.Time
			}
			if first {
				count++
			}
			if (p.Stderr && l.query.Stderr || !p.Stderr && l.query.Stdout) && len(p.Data) > 0 {
				lines += bytes.Count(p.Data, newline)
				open = p.Data[len(p.Data)-1] != '\n'
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if open {
			lines++
		}
		all := count < r.tail
		if lines <= l.query.Lines && !all {
			r.tail *= tailMore
			continue
		}
		if all {
			wanted.tail = -1
		} else {
			// Counted from the end again, but with a margin for what is written meanwhile; the time is what counts.
			wanted.tail = 2*r.tail + 10_000
			wanted.since = begin
		}
		return max(0, lines-l.query.Lines), nil
	}
}

// mostEntries is more than are counted; of more lines than that, all come.
const mostEntries = 1 << 28

var newline = []byte{'\n'}

// dropLines takes up to most lines from the beginning of a piece, and returns how many it has taken the end of.
func dropLines(p *backends.Piece, most int) (dropped int) {
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
