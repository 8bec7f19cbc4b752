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

// beforeMargin is how many bytes further back the newest part of a log may begin than its size says: for what the task writes
// while it is looked for.
const beforeMargin = 1 << 20

// LogBefore implements backends.LogFiles. It needs read-logs; with read-fs it can leave out files by their time.
func (c *Client) LogBefore(ctx context.Context, in backends.TaskRef, newest [2]backends.RetainedOutput, q backends.LogQuery, each func(backends.LogChunk) error) error {
	if _, err := c.query(ctx, ""); err != nil {
		return err
	}
	client, err := c.streams.logClient()
	if err != nil {
		return err
	}
	leave, err := c.streams.reading.Acquire(ctx, 1)
	if err != nil {
		return err
	}
	defer leave()
	var readers []*reader
	for i, kind := range []string{"stdout", "stderr"} {
		lines := q.Lines
		if lines >= 0 {
			lines = max(0, lines-newest[i].Lines)
		}
		if i == 0 && !q.Stdout || i == 1 && !q.Stderr || lines == 0 {
			continue
		}
		r := &reader{c: c, client: client, in: in, kind: kind}
		err := r.again(ctx, false, func() (err error) {
			r.section, err = c.sectionBefore(ctx, in, kind, newest[i], lines, q.Since)
			return err
		})
		if err != nil {
			return err
		}
		if r.section.empty {
			if err := rotated(kind, q, r.section, each); err != nil {
				return err
			}
			continue
		}
		readers = append(readers, r)
	}
	for _, r := range readers {
		stderr := r.kind == "stderr"
		r.each = func(data []byte) error {
			return each(backends.LogChunk{Stderr: stderr, Data: data, Unordered: true})
		}
		r.gone = func() error { return each(backends.LogChunk{Stderr: stderr, Lost: true}) }
		r.live = func() error { return nil }
		if err := rotated(r.kind, q, r.section, each); err != nil {
			return err
		}
		if err := r.readSection(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rotated tells a reader who wants all of a log that it does not begin where the task began to write.
func rotated(kind string, q backends.LogQuery, s section, each func(backends.LogChunk) error) error {
	if q.Lines >= 0 || !q.Since.IsZero() || s.first == 0 {
		return nil
	}
	return each(backends.LogChunk{Stderr: kind == "stderr", Note: fmt.Sprintf("the start of %s is lost: Nomad has rotated it away", kind)})
}

// sectionBefore finds what is before the newest part of a log.
func (c *Client) sectionBefore(ctx context.Context, in backends.TaskRef, kind string, newest backends.RetainedOutput, lines int, since time.Time) (section, error) {
	end, err := c.locate(ctx, in, kind, newest)
	if err != nil {
		return section{}, err
	}
	begin, head, err := c.beginning(ctx, in, kind)
	whole := newest.Complete && begin.file == 0 && len(newest.Head) > 0 && bytes.HasPrefix(head, newest.Head)
	if err != nil || whole || !begin.before(end) {
		return section{empty: true, first: begin.file}, err
	}
	if lines < 0 {
		s := section{begin: place{-1, 0}, end: end, first: begin.file}
		if !since.IsZero() {
			s.begin, s.back = c.youngerThan(ctx, in, kind, since)
		}
		return s, nil
	}
	for back := newest.Bytes + beforeMargin; ; back *= 8 {
		w, err := c.window(ctx, in, kind, back, &end)
		switch {
		case err != nil:
			return section{}, err
		case w.lines > lines, w.begin == begin:
			return section{begin: w.begin, skip: max(0, w.lines-lines), end: end, back: back}, nil
		case back >= wholeLog:
			return section{}, errors.New("the log is too long")
		}
	}
}

// beginning returns where a log begins and its first bytes; place{} if it is empty.
func (c *Client) beginning(ctx context.Context, in backends.TaskRef, kind string) (begin place, head []byte, err error) {
	f, err := c.open(ctx, c.api, in, kind, false, -1)
	if err != nil {
		return place{}, nil, err
	}
	defer f.close()
	head, begin, err = f.next()
	if errors.Is(err, io.EOF) {
		return place{}, nil, nil
	}
	return place{begin.file, 0}, head, err // an offset of all of a log is that of its first file
}

// locate finds where the newest part of a log begins: so many bytes before the end that the log has now, or, if the task has
// written since, a little further back. The first bytes decide.
func (c *Client) locate(ctx context.Context, in backends.TaskRef, kind string, newest backends.RetainedOutput) (place, error) {
	back := newest.Bytes + beforeMargin
	f, err := c.open(ctx, c.api, in, kind, false, back)
	if err != nil {
		return place{}, err
	}
	defer f.close()
	s := newSearch(newest.Head)
	for {
		data, begin, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return place{}, err
		}
		s.add(data, begin)
	}
	at, found, ok := s.best(newest.Bytes)
	switch {
	case ok && newest.Final && s.size-at > newest.Bytes && !bytes.HasSuffix(s.end, newest.Tail):
		return found, otherLog{more: true}
	case ok:
		return found, nil
	case newest.Bytes == 0:
		return f.end, nil
	default:
		return place{}, otherLog{more: s.size >= back || s.size > newest.Bytes}
	}
}

// otherLog is a backends.ErrLogMismatch with what is known of the files.
type otherLog struct{ more bool }

func (o otherLog) Error() string        { return backends.ErrLogMismatch.Error() }
func (o otherLog) Is(target error) bool { return target == backends.ErrLogMismatch }

// FilesHoldMore reports whether the files hold more bytes than the newest part has.
func (o otherLog) FilesHoldMore() bool { return o.more }

// search looks for the beginning of the newest part in a stream, of which it keeps no more than it has to.
type search struct {
	size  int64      // of what has come
	tail  []byte     // of it, which a match may begin in
	end   []byte     // of it
	heads []*logHead // the longest first
	parts []searchPart
}

// logHead is the first bytes of the newest part, or fewer of them: Nomad collects what a container writes from Docker's log, and
// loses some of it, or has it twice, when Docker rotates faster than that is read. The first lines may be there all the same.
type logHead struct {
	text  []byte
	found []int64
}

// searchPart is where a file begins in the stream.
type searchPart struct {
	at    int64
	begin place
}

const (
	maxFound = 4096 // matches that are kept. In a log with more of them all lines are the same, and the size decides
	maxEnd   = 1024 // bytes of the end that are kept
	minHead  = 8    // bytes of a first line that are looked for by themselves
)

func newSearch(text []byte) *search {
	s := new(search)
	for _, n := range []int{len(text), len(text) / 8, bytes.IndexByte(text, '\n') + 1} {
		if n > 0 && (n == len(text) || n >= minHead) {
			s.heads = append(s.heads, &logHead{text: text[:n]})
		}
	}
	return s
}

func (s *search) add(data []byte, begin place) {
	if n := len(s.parts); n == 0 || s.parts[n-1].begin.file != begin.file {
		s.parts = append(s.parts, searchPart{s.size, begin})
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
				if h.found = append(h.found, start+int64(from+i)); len(h.found) > maxFound {
					h.found = h.found[1:]
				}
				from += i + 1
			}
		}
		s.tail = bytes.Clone(text[max(0, len(text)-len(s.heads[0].text)+1):])
	}
	s.size += int64(len(data))
	s.end = append(s.end, data[max(0, len(data)-maxEnd):]...)
	s.end = s.end[max(0, len(s.end)-maxEnd):]
}

// best returns the place of the match that is so many bytes before the end, or a little more. Where there is none of that
// kind, the files lack something of the newest part, and the first match after that place is it.
func (s *search) best(size int64) (at int64, in place, ok bool) {
	want := s.size - size
	for _, h := range s.heads {
		for i, at := range slices.Backward(h.found) {
			switch {
			case at <= want, i == 0 && len(h.found) < maxFound:
				return at, s.place(at), true
			}
		}
		if len(h.found) == maxFound && want >= 0 {
			return want, s.place(want), true
		}
	}
	return 0, place{}, false
}

func (s *search) place(at int64) place {
	for _, p := range slices.Backward(s.parts) {
		if p.at <= at {
			return place{p.begin.file, p.begin.at + at - p.at}
		}
	}
	return place{}
}

// youngerThan returns where the first file of a log begins that was written to at or after a time, and how far that is from
// the end. Where files cannot be listed, the whole log is younger.
func (c *Client) youngerThan(ctx context.Context, in backends.TaskRef, kind string, since time.Time) (place, int64) {
	whole := place{-1, 0}
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
			begin = place{n, 0}
		}
	}
	if begin.file < 0 {
		return whole, -1
	}
	return begin, back + beforeMargin
}
