package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// Left is what an earlier gateway left running when it was killed.
type Left struct {
	Events  []Event // start events of commands that run a program in a task, without an end event, oldest first
	Release func()  // called when the gateway stops: another gateway may take over then
}

// ErrInUse says that another gateway writes this log: what has no end event may be running under it.
var ErrInUse = errors.New("another gateway writes this audit log")

// maxScan is how much of the end of a file Unfinished reads. A session that started earlier is not found.
const maxScan = 256 << 20

// Unfinished returns the start events of commands that run a program and have neither an end event nor one that settles
// it. It reads the file and the one before it, if that was renamed to end in ".1". It must be called before the gateway
// serves. Only a log in a file can be read; for others there are no events.
func (l *Log) Unfinished() (Left, error) {
	none := Left{Release: func() {}}
	if l.file == nil {
		return none, nil
	}
	release, ok, err := claim(l.file.path + ".lock")
	switch {
	case err != nil:
		return none, fmt.Errorf("audit log: lock: %w", err)
	case !ok:
		return none, ErrInUse
	}
	open := map[string]Event{}
	for _, path := range []string{l.file.path + ".1", l.file.path} {
		if err := scan(path, maxScan, open); err != nil && !errors.Is(err, fs.ErrNotExist) {
			release()
			return none, fmt.Errorf("audit log: %w", err)
		}
	}
	left := Left{Release: release}
	for _, e := range open {
		left.Events = append(left.Events, e)
	}
	slices.SortFunc(left.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return left, nil
}

// scan adds the start events in the last limit bytes of a file to open, by session, and removes those that were settled.
func scan(path string, limit int64, open map[string]Event) error {
	f, err := openForScan(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return err
	}
	start := max(0, size-limit)
	lines := bufio.NewReaderSize(io.NewSectionReader(f, start, size-start), 1<<20)
	if start > 0 {
		if _, err := lines.ReadBytes('\n'); err != nil {
			return nil
		}
	}
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch kindOf(line) {
		case Start:
			var e Event
			if bytes.Contains(line, []byte(`"program":"`)) && json.Unmarshal(line, &e) == nil && e.Program != "" {
				open[e.Session] = e
			}
		case End, Killed, Exited:
			delete(open, sessionOf(line))
		}
	}
}

// kindOf returns the kind of the event in a line. It is the line's first field.
func kindOf(line []byte) Kind { return Kind(valueOf(line, `{"event":"`)) }

// sessionOf returns the session of the event in a line. No text of a user comes before it.
func sessionOf(line []byte) string { return valueOf(line, `"session":"`) }

func valueOf(line []byte, before string) string {
	_, rest, ok := bytes.Cut(line, []byte(before))
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	if !ok || !ended {
		return ""
	}
	return string(value)
}
