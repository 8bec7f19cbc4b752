package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

var _ backends.LogFiles = (*Client)(nil)

// searchMargin is how much further back the search for the newest part starts (see LogFiles.LogBefore): at this many
// bytes plus the size of that part before the end of the log, because the task may write more before the search.
const searchMargin = 1 << 20

// LogBefore implements backends.LogFiles. It needs the capability read-logs. With read-fs it can leave out old files.
func (c *Client) LogBefore(
	ctx context.Context, in backends.TaskRef, newest [2]backends.RetainedOutput, q backends.LogQuery,
	each func(backends.LogChunk) error,
) error {
	// Fail before taking a slot if the token cannot be read.
	if _, err := c.queryOptions(ctx, ""); err != nil {
		return err
	}
	client, err := c.conns.logClient()
	if err != nil {
		return err
	}
	release, err := c.conns.logSlots.Acquire(ctx, 1)
	if err != nil {
		return err
	}
	defer release()
	lines := q.Lines
	for i, isSelected := range []bool{q.Stdout, q.Stderr} {
		if isSelected && lines >= 0 {
			lines = max(0, lines-newest[i].Lines)
		}
	}
	if lines == 0 {
		return nil
	}
	var readers []*logReader
	for i, output := range []string{"stdout", "stderr"} {
		if i == 0 && !q.Stdout || i == 1 && !q.Stderr {
			continue
		}
		r := &logReader{c: c, client: client, task: in, output: output}
		err := r.retry(ctx, false, func() (err error) {
			r.section, err = c.sectionBefore(ctx, in, output, newest[i], lines, q.Since)
			return err
		})
		if err != nil {
			return err
		}
		readers = append(readers, r)
	}
	shareLines(lines, readers)
	for _, r := range readers {
		stderr := r.output == "stderr"
		r.emit = func(data []byte) error {
			return each(backends.LogChunk{Stderr: stderr, Data: data, Unordered: true})
		}
		r.onGap = func() error { return each(backends.LogChunk{Stderr: stderr, Lost: true}) }
		r.onCaughtUp = func() error { return nil }
		if err := noteRotated(r.output, q, r.section, each); err != nil {
			return err
		}
		if r.section.empty {
			continue
		}
		if err := r.readSection(ctx); err != nil {
			return err
		}
	}
	return nil
}

// noteRotated emits a note if the whole log is selected and its first file has been deleted.
func noteRotated(output string, q backends.LogQuery, s logSection, each func(backends.LogChunk) error) error {
	if q.Lines >= 0 || !q.Since.IsZero() || s.firstFile == 0 {
		return nil
	}
	note := fmt.Sprintf("the start of %s is lost: Nomad has rotated it away", output)
	return each(backends.LogChunk{Stderr: output == "stderr", Note: note})
}

// sectionBefore finds the last lines before the newest part of a log, or all of them if lines is negative.
func (c *Client) sectionBefore(
	ctx context.Context, in backends.TaskRef, output string, newest backends.RetainedOutput, lines int, since time.Time,
) (logSection, error) {
	end, err := c.findNewest(ctx, in, output, newest)
	if err != nil {
		return logSection{}, err
	}
	start, head, err := c.logStart(ctx, in, output)
	whole := newest.HasStart && start.file == 0 && len(newest.Head) > 0 && bytes.HasPrefix(head, newest.Head)
	if err != nil || whole || !start.before(end) {
		return logSection{empty: true, firstFile: start.file}, err
	}
	if lines < 0 {
		s := logSection{start: logPos{-1, 0}, end: end, firstFile: start.file}
		if !since.IsZero() {
			s.start, s.lookback = c.modifiedSince(ctx, in, output, since)
		}
		return s, nil
	}
	for lookback := newest.Bytes + searchMargin; ; lookback *= 8 {
		w, err := c.readWindow(ctx, in, output, lookback, &end)
		switch {
		case err != nil:
			return logSection{}, err
		case w.lines > lines, w.start == start:
			return logSection{
				start: w.start, skip: max(0, w.lines-lines), end: end, lookback: lookback, lines: min(w.lines, lines),
			}, nil
		case lookback >= maxLogSize:
			return logSection{}, errors.New("the log is too long")
		}
	}
}

// logStart returns the position of a log's first file and its first bytes, or logPos{} if the log is empty.
func (c *Client) logStart(
	ctx context.Context, in backends.TaskRef, output string,
) (start logPos, head []byte, err error) {
	f, err := c.openLog(ctx, c.reads, in, output, false, -1)
	if err != nil {
		return logPos{}, nil, err
	}
	defer f.close()
	head, start, err = f.next()
	if errors.Is(err, io.EOF) {
		return logPos{}, nil, nil
	}
	return logPos{start.file, 0}, head, err
}

// findNewest returns where newest.Head starts, about newest.Bytes before the end of the log. It returns a
// *MismatchError if newest is not empty and newest.Head is not found. It returns both the position and a *MismatchError
// if newest.HasEnd is set and the log has more than newest.Bytes after the position, but does not end with newest.Tail.
func (c *Client) findNewest(
	ctx context.Context, in backends.TaskRef, output string, newest backends.RetainedOutput,
) (logPos, error) {
	lookback := newest.Bytes + searchMargin
	f, err := c.openLog(ctx, c.reads, in, output, false, lookback)
	if err != nil {
		return logPos{}, err
	}
	defer f.close()
	s := newHeadSearch(newest.Head)
	for {
		data, start, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return logPos{}, err
		}
		s.add(data, start)
	}
	at, found, ok := s.bestMatch(newest.Bytes)
	switch {
	case ok && newest.HasEnd && s.size-at > newest.Bytes && !bytes.HasSuffix(s.last, newest.Tail):
		return found, &backends.MismatchError{FilesContainMore: true}
	case ok:
		return found, nil
	case newest.Bytes == 0:
		return f.pos, nil
	default:
		return logPos{}, &backends.MismatchError{FilesContainMore: s.size >= lookback || s.size > newest.Bytes}
	}
}

// headSearch searches a stream of log data for the start of the newest part. It stores only the matches and a few
// bytes.
//
// It searches for the first bytes of the newest part (its head), and for shorter heads if that fails. Nomad collects
// a container's output from Docker's log, and if Docker rotates faster than Nomad reads, Nomad loses or duplicates
// data. The first lines may still be intact.
type headSearch struct {
	size  int64      // number of bytes read
	tail  []byte     // the last bytes, where a match may start
	last  []byte     // the last maxLast bytes
	heads []*logHead // longest first
	files []fileStart
}

// logHead is a head and the offsets in the stream where it occurs.
type logHead struct {
	text    []byte
	matches []int64
}

// fileStart is the offset in the stream where a log file starts.
type fileStart struct {
	at  int64
	pos logPos
}

const (
	maxMatches = 4096 // matches to store. A log with more matches consists of equal lines, so only the size counts
	maxLast    = 1024
	minHead    = 8 // minimum length of a shorter head
)

// newHeadSearch returns a search for text and for its shorter heads.
func newHeadSearch(text []byte) *headSearch {
	s := new(headSearch)
	for _, n := range []int{len(text), len(text) / 8, bytes.IndexByte(text, '\n') + 1} {
		if n > 0 && (n == len(text) || n >= minHead) {
			s.heads = append(s.heads, &logHead{text: text[:n]})
		}
	}
	return s
}

// add searches the next data of the stream. start is its position in the log.
func (s *headSearch) add(data []byte, start logPos) {
	if n := len(s.files); n == 0 || s.files[n-1].pos.file != start.file {
		s.files = append(s.files, fileStart{s.size, start})
	}
	if len(s.heads) > 0 {
		text := append(s.tail, data...)
		textStart := s.size - int64(len(s.tail))
		for _, h := range s.heads {
			for from := max(0, len(s.tail)-len(h.text)+1); ; { // earlier bytes have been searched
				i := bytes.Index(text[from:], h.text)
				if i < 0 {
					break
				}
				if h.matches = append(h.matches, textStart+int64(from+i)); len(h.matches) > maxMatches {
					h.matches = h.matches[1:]
				}
				from += i + 1
			}
		}
		s.tail = bytes.Clone(text[max(0, len(text)-len(s.heads[0].text)+1):])
	}
	s.size += int64(len(data))
	s.last = append(s.last, data[max(0, len(data)-maxLast):]...)
	s.last = s.last[max(0, len(s.last)-maxLast):]
}

// bestMatch returns the last match that is at least size bytes before the end. If all matches are closer to the end,
// the files lack a part of the data, and it returns the first match.
func (s *headSearch) bestMatch(size int64) (at int64, pos logPos, ok bool) {
	want := s.size - size
	for _, h := range s.heads {
		for i, at := range slices.Backward(h.matches) {
			switch {
			case at <= want, i == 0 && len(h.matches) < maxMatches:
				return at, s.posOf(at), true
			}
		}
		if len(h.matches) == maxMatches && want >= 0 {
			return want, s.posOf(want), true
		}
	}
	return 0, logPos{}, false
}

// posOf returns the log position of an offset in the stream.
func (s *headSearch) posOf(at int64) logPos {
	for _, p := range slices.Backward(s.files) {
		if p.at <= at {
			return logPos{p.pos.file, p.pos.offset + at - p.at}
		}
	}
	return logPos{}
}

// modifiedSince returns the start of the first log file that was modified at or after since, and its distance from
// the end of the log. If it finds none, it returns the start of the log.
func (c *Client) modifiedSince(
	ctx context.Context, in backends.TaskRef, output string, since time.Time,
) (logPos, int64) {
	whole := logPos{-1, 0}
	q, err := c.queryOptions(ctx, in.Allocation.Namespace)
	if err != nil {
		return whole, -1
	}
	q.Params = map[string]string{"path": "alloc/logs"}
	body, err := c.reads.Raw().Response("/v1/client/fs/ls/"+url.PathEscape(in.Allocation.ID), q)
	if err != nil {
		return whole, -1
	}
	defer body.Close()
	var files []api.AllocFileInfo
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&files); err != nil {
		return whole, -1
	}
	start, lookback := whole, int64(0)
	for _, f := range files {
		number, ok := strings.CutPrefix(f.Name, in.Task+"."+output+".")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || f.ModTime.Before(since) {
			continue
		}
		lookback += f.Size
		if start.file < 0 || n < start.file {
			start = logPos{n, 0}
		}
	}
	if start.file < 0 {
		return whole, -1
	}
	return start, lookback + searchMargin
}
