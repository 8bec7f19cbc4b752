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

// searchMargin is how many bytes further back the newest part of a log may begin than its size says: for what the task writes
// while it is looked for.
const searchMargin = 1 << 20

// LogBefore implements backends.LogFiles. It needs read-logs; with read-fs it can leave out files by their time.
func (c *Client) LogBefore(ctx context.Context, in backends.TaskRef, newest [2]backends.RetainedOutput, q backends.LogQuery, each func(backends.LogChunk) error) error {
	if _, err := c.query(ctx, ""); err != nil {
		return err
	}
	client, err := c.conns.logClient()
	if err != nil {
		return err
	}
	leave, err := c.conns.logSlots.Acquire(ctx, 1)
	if err != nil {
		return err
	}
	defer leave()
	var readers []*logReader
	for i, kind := range []string{"stdout", "stderr"} {
		lines := q.Lines
		if lines >= 0 {
			lines = max(0, lines-newest[i].Lines)
		}
		if i == 0 && !q.Stdout || i == 1 && !q.Stderr || lines == 0 {
			continue
		}
		r := &logReader{c: c, client: client, task: in, kind: kind}
		err := r.retry(ctx, false, func() (err error) {
			r.section, err = c.sectionBefore(ctx, in, kind, newest[i], lines, q.Since)
			return err
		})
		if err != nil {
			return err
		}
		if r.section.empty {
			if err := noteRotated(kind, q, r.section, each); err != nil {
				return err
			}
			continue
		}
		readers = append(readers, r)
	}
	for _, r := range readers {
		stderr := r.kind == "stderr"
		r.emit = func(data []byte) error {
			return each(backends.LogChunk{Stderr: stderr, Data: data, Unordered: true})
		}
		r.onGap = func() error { return each(backends.LogChunk{Stderr: stderr, Lost: true}) }
		r.onCaughtUp = func() error { return nil }
		if err := noteRotated(r.kind, q, r.section, each); err != nil {
			return err
		}
		if err := r.readSection(ctx); err != nil {
			return err
		}
	}
	return nil
}

// noteRotated tells a reader who wants all of a log that it does not begin where the task began to write.
func noteRotated(kind string, q backends.LogQuery, s logSection, each func(backends.LogChunk) error) error {
	if q.Lines >= 0 || !q.Since.IsZero() || s.firstFile == 0 {
		return nil
	}
	return each(backends.LogChunk{Stderr: kind == "stderr", Note: fmt.Sprintf("the start of %s is lost: Nomad has rotated it away", kind)})
}

// sectionBefore finds what is before the newest part of a log.
func (c *Client) sectionBefore(ctx context.Context, in backends.TaskRef, kind string, newest backends.RetainedOutput, lines int, since time.Time) (logSection, error) {
	end, err := c.findNewest(ctx, in, kind, newest)
	if err != nil {
		return logSection{}, err
	}
	begin, head, err := c.logStart(ctx, in, kind)
	whole := newest.Complete && begin.file == 0 && len(newest.Head) > 0 && bytes.HasPrefix(head, newest.Head)
	if err != nil || whole || !begin.before(end) {
		return logSection{empty: true, firstFile: begin.file}, err
	}
	if lines < 0 {
		s := logSection{start: logPos{-1, 0}, end: end, firstFile: begin.file}
		if !since.IsZero() {
			s.start, s.lookback = c.modifiedSince(ctx, in, kind, since)
		}
		return s, nil
	}
	for back := newest.Bytes + searchMargin; ; back *= 8 {
		w, err := c.readWindow(ctx, in, kind, back, &end)
		switch {
		case err != nil:
			return logSection{}, err
		case w.lines > lines, w.start == begin:
			return logSection{start: w.start, skip: max(0, w.lines-lines), end: end, lookback: back}, nil
		case back >= maxLogSize:
			return logSection{}, errors.New("the log is too long")
		}
	}
}

// logStart returns where a log begins and its first bytes; place{} if it is empty.
func (c *Client) logStart(ctx context.Context, in backends.TaskRef, kind string) (begin logPos, head []byte, err error) {
	f, err := c.openLog(ctx, c.api, in, kind, false, -1)
	if err != nil {
		return logPos{}, nil, err
	}
	defer f.close()
	head, begin, err = f.next()
	if errors.Is(err, io.EOF) {
		return logPos{}, nil, nil
	}
	return logPos{begin.file, 0}, head, err // an offset of all of a log is that of its first file
}

// findNewest finds where the newest part of a log begins: so many bytes before the end that the log has now, or, if the task has
// written since, a little further back. The first bytes decide.
func (c *Client) findNewest(ctx context.Context, in backends.TaskRef, kind string, newest backends.RetainedOutput) (logPos, error) {
	back := newest.Bytes + searchMargin
	f, err := c.openLog(ctx, c.api, in, kind, false, back)
	if err != nil {
		return logPos{}, err
	}
	defer f.close()
	s := newHeadSearch(newest.Head)
	for {
		data, begin, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return logPos{}, err
		}
		s.add(data, begin)
	}
	at, found, ok := s.bestMatch(newest.Bytes)
	switch {
	case ok && newest.Final && s.size-at > newest.Bytes && !bytes.HasSuffix(s.last, newest.Tail):
		return found, mismatchError{filesHoldMore: true}
	case ok:
		return found, nil
	case newest.Bytes == 0:
		return f.pos, nil
	default:
		return logPos{}, mismatchError{filesHoldMore: s.size >= back || s.size > newest.Bytes}
	}
}

// mismatchError is a backends.ErrLogMismatch with what is known of the files.
type mismatchError struct{ filesHoldMore bool }

func (o mismatchError) Error() string        { return backends.ErrLogMismatch.Error() }
func (o mismatchError) Is(target error) bool { return target == backends.ErrLogMismatch }

// FilesHoldMore reports whether the files hold more bytes than the newest part has.
func (o mismatchError) FilesHoldMore() bool { return o.filesHoldMore }

// headSearch looks for the beginning of the newest part in a stream, of which it keeps no more than it has to.
type headSearch struct {
	size  int64      // of what has come
	tail  []byte     // of it, which a match may begin in
	last  []byte     // of it
	heads []*logHead // the longest first
	files []fileStart
}

// logHead is the first bytes of the newest part, or fewer of them: Nomad collects what a container writes from Docker's log, and
// loses some of it, or has it twice, when Docker rotates faster than that is read. The first lines may be there all the same.
type logHead struct {
	text    []byte
	matches []int64
}

// fileStart is where a file begins in the stream.
type fileStart struct {
	at  int64
	pos logPos
}

const (
	maxMatches = 4096 // matches that are kept. In a log with more of them all lines are the same, and the size decides
	maxLast    = 1024 // bytes of the end that are kept
	minHead    = 8    // bytes of a first line that are looked for by themselves
)

func newHeadSearch(text []byte) *headSearch {
	s := new(headSearch)
	for _, n := range []int{len(text), len(text) / 8, bytes.IndexByte(text, '\n') + 1} {
		if n > 0 && (n == len(text) || n >= minHead) {
			s.heads = append(s.heads, &logHead{text: text[:n]})
		}
	}
	return s
}

func (s *headSearch) add(data []byte, begin logPos) {
	if n := len(s.files); n == 0 || s.files[n-1].pos.file != begin.file {
		s.files = append(s.files, fileStart{s.size, begin})
	}
	if len(s.heads) > 0 {
		text := append(s.tail, data...)
		start := s.size - int64(len(s.tail))
		for _, h := range s.heads {
			for from := max(0, len(s.tail)-len(h.text)+1); ; { // what is before that has been looked at
				i := bytes.Index(text[from:], h.text)
				if i < 0 {
					break
				}
				if h.matches = append(h.matches, start+int64(from+i)); len(h.matches) > maxMatches {
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

// bestMatch returns the place of the match that is so many bytes before the end, or a little more. Where there is none of that
// kind, the files lack something of the newest part, and the first match after that place is it.
func (s *headSearch) bestMatch(size int64) (at int64, in logPos, ok bool) {
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

func (s *headSearch) posOf(at int64) logPos {
	for _, p := range slices.Backward(s.files) {
		if p.at <= at {
			return logPos{p.pos.file, p.pos.offset + at - p.at}
		}
	}
	return logPos{}
}

// modifiedSince returns where the first file of a log begins that was written to at or after a time, and how far that is from
// the end. Where files cannot be listed, the whole log is younger.
func (c *Client) modifiedSince(ctx context.Context, in backends.TaskRef, kind string, since time.Time) (logPos, int64) {
	whole := logPos{-1, 0}
	q, err := c.query(ctx, in.Allocation.Namespace)
	if err != nil {
		return whole, -1
	}
	q.Params = map[string]string{"path": "alloc/logs"}
	body, err := c.api.Raw().Response("/v1/client/fs/ls/"+url.PathEscape(in.Allocation.ID), q)
	if err != nil {
		return whole, -1
	}
	defer body.Close()
	var files []api.AllocFileInfo
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&files); err != nil {
		return whole, -1
	}
	begin, back := whole, int64(0)
	for _, f := range files {
		number, ok := strings.CutPrefix(f.Name, in.Task+"."+kind+".")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || f.ModTime.Before(since) {
			continue
		}
		back += f.Size
		if begin.file < 0 || n < begin.file {
			begin = logPos{n, 0}
		}
	}
	if begin.file < 0 {
		return whole, -1
	}
	return begin, back + searchMargin
}
