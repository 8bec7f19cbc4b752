package nomad

import (
	"bytes"
	"context"
	"errors"
	"io"

	"nomadctld/backends"
)

// wholeLog is more than any log has.
const wholeLog = 1 << 50

// section is a part of a log.
type section struct {
	begin place
	skip  int   // lines from there that are not of it
	end   place // of what there was when it was looked for
	empty bool  // there was nothing, or nothing is wanted of it
	back  int64 // how far before the end begin is, at least; 0: not known
	first int   // number of the file that the log begins in, where all of it is wanted
}

// section finds the last lines of a log, or all of it if lines is negative, in what there is now. It reads backwards in
// windows that grow, and keeps none of it: with the place where a window begins and the number of its lines, the last
// of them can be found again, however long they are and whatever has been written since.
func (c *Client) section(ctx context.Context, in backends.TaskRef, kind string, lines int) (section, error) {
	for back := int64(frameSize); ; back *= 8 {
		w, err := c.window(ctx, in, kind, back, nil)
		if err != nil {
			return section{}, err
		}
		whole := w.size < back
		switch {
		case w.size == 0:
			return section{empty: true}, nil
		case lines < 0:
			begin, _, err := c.beginning(ctx, in, kind)
			return section{begin: place{-1, 0}, end: w.end, first: begin.file}, err
		case lines == 0:
			return section{begin: w.end, end: w.end, empty: true}, nil
		case whole, w.lines > lines: // the first line of a window may have begun before it
			return section{begin: w.begin, skip: max(0, w.lines-lines), end: w.end}, nil
		case back >= wholeLog:
			return section{}, errors.New("the log is too long")
		}
	}
}

// window is what there is within some bytes before the end of a log, or of that what is before some place.
type window struct {
	begin, end place
	size       int64
	lines      int // a last one without a newline is one too
}

func (c *Client) window(ctx context.Context, in backends.TaskRef, kind string, back int64, until *place) (w window, err error) {
	f, err := c.open(ctx, c.api, in, kind, false, back)
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
			w.begin = begin
		}
		if until != nil && until.before(f.end) {
			if !begin.before(*until) {
				break
			}
			if begin.file == until.file {
				data = data[:until.at-begin.at]
			}
		}
		if len(data) == 0 {
			continue
		}
		w.size += int64(len(data))
		w.lines += bytes.Count(data, []byte{'\n'})
		w.end = f.end
		last = data[len(data)-1]
	}
	if last != '\n' {
		w.lines++
	}
	return w, nil
}
