package nomad

import (
	"bytes"
	"context"
	"errors"
	"io"

	"nomadctld/backends"
)

// maxLogSize is larger than any log.
const maxLogSize = 1 << 50

// logSection is a part of a log.
type logSection struct {
	start     logPos
	skip      int    // lines to skip after start
	end       logPos // where the section ends
	lines     int    // in the section, if the last lines were requested
	empty     bool   // the log was empty, or no line is selected
	lookback  int64  // minimum distance of start from the end of the log; 0: not known
	firstFile int    // number of the oldest remaining file; 0: none was deleted, or not known
}

// findSection finds the last lines of a log, or the whole log if lines is negative.
//
// It reads windows of increasing size before the end of the log, counts their lines and stores none. The position of a
// window and its number of lines identify the last lines, however long they are, even if the log grows later.
func (c *Client) findSection(ctx context.Context, in backends.TaskRef, output string, lines int) (logSection, error) {
	for lookback := int64(frameSize); ; lookback *= 8 {
		w, err := c.readWindow(ctx, in, output, lookback, nil)
		if err != nil {
			return logSection{}, err
		}
		whole := w.size < lookback
		switch {
		case w.size == 0:
			return logSection{empty: true}, nil
		case lines < 0:
			start, _, err := c.logStart(ctx, in, output)
			return logSection{start: logPos{-1, 0}, end: w.end, firstFile: start.file}, err
		case lines == 0:
			return logSection{start: w.end, end: w.end, empty: true}, nil
		case whole, w.lines > lines: // more lines, because the first line of a window may be incomplete
			return logSection{start: w.start, skip: max(0, w.lines-lines), end: w.end, lines: min(w.lines, lines)}, nil
		case lookback >= maxLogSize:
			return logSection{}, errors.New("the log is too long")
		}
	}
}

// shareLines reduces the sections of several outputs so that they have n lines together. Negative: all.
func shareLines(n int, readers []*logReader) {
	if n < 0 || len(readers) < 2 {
		return
	}
	share := backends.ShareLines(n, [2]int{readers[0].section.lines, readers[1].section.lines})
	for i, r := range readers {
		r.section.skip += r.section.lines - share[i]
	}
}

// logWindow describes the last bytes of a log.
type logWindow struct {
	start, end logPos
	size       int64
	lines      int // including a last line without a newline
}

// readWindow reads the last lookback bytes of a log. It stops at the position until, unless that is nil.
func (c *Client) readWindow(
	ctx context.Context, in backends.TaskRef, output string, lookback int64, until *logPos,
) (w logWindow, err error) {
	f, err := c.openLog(ctx, c.reads, in, output, false, lookback)
	if err != nil {
		return w, err
	}
	defer f.close()
	last := byte('\n')
	for {
		data, start, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w, err
		}
		if w.size == 0 {
			w.start = start
		}
		if until != nil && until.before(f.pos) {
			if !start.before(*until) {
				break
			}
			if start.file == until.file {
				data = data[:until.offset-start.offset]
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
