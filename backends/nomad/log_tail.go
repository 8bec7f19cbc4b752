package nomad

import (
	"bytes"
	"context"
	"errors"
	"io"

	"nomadctld/backends"
)

// maxLogSize is more than any log has.
const maxLogSize = 1 << 50

// logSection is a part of a log.
type logSection struct {
	start     logPos
	skip      int    // lines from there that are not of it
	end       logPos // of what there was when it was looked for
	empty     bool   // there was nothing, or nothing is wanted of it
	lookback  int64  // how far before the end begin is, at least; 0: not known
	firstFile int    // number of the file that the log begins in, where all of it is wanted
}

// findSection finds the last lines of a log, or all of it if lines is negative, in what there is now. It reads backwards in
// windows that grow, and keeps none of it: with the place where a window begins and the number of its lines, the last
// of them can be found again, however long they are and whatever has been written since.
func (c *Client) findSection(ctx context.Context, in backends.TaskRef, kind string, lines int) (logSection, error) {
	for back := int64(frameSize); ; back *= 8 {
		w, err := c.readWindow(ctx, in, kind, back, nil)
		if err != nil {
			return logSection{}, err
		}
		whole := w.size < back
		switch {
		case w.size == 0:
			return logSection{empty: true}, nil
		case lines < 0:
			begin, _, err := c.logStart(ctx, in, kind)
			return logSection{start: logPos{-1, 0}, end: w.end, firstFile: begin.file}, err
		case lines == 0:
			return logSection{start: w.end, end: w.end, empty: true}, nil
		case whole, w.lines > lines: // the first line of a window may have begun before it
			return logSection{start: w.start, skip: max(0, w.lines-lines), end: w.end}, nil
		case back >= maxLogSize:
			return logSection{}, errors.New("the log is too long")
		}
	}
}

// logWindow is what there is within some bytes before the end of a log, or of that what is before some place.
type logWindow struct {
	start, end logPos
	size       int64
	lines      int // a last one without a newline is one too
}

func (c *Client) readWindow(ctx context.Context, in backends.TaskRef, kind string, back int64, until *logPos) (w logWindow, err error) {
	f, err := c.openLog(ctx, c.api, in, kind, false, back)
	if err != nil {
		return w, err
	}
	defer f.close()
	last := byte('\n')
	for {
		data, begin, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w, err
		}
		if w.size == 0 {
			w.start = begin
		}
		if until != nil && until.before(f.pos) {
			if !begin.before(*until) {
				break
			}
			if begin.file == until.file {
				data = data[:until.offset-begin.offset]
			}
		}
		if len(data) == 0 {
			continue
		}
		w.size += int64(len(data))
		w.lines += bytes.Count(data, []byte{'\n'})
		w.end = f.pos
		last = data[len(data)-1]
	}
	if last != '\n' {
		w.lines++
	}
	return w, nil
}
