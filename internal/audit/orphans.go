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

// Orphans is what earlier gateways left running when they were killed.
type Orphans struct {
	Release func() // called when the gateway stops. Until then no other gateway takes its programs for left ones

	files []fileSection
}

// fileSection is the end of a file as it was when the gateway started.
type fileSection struct {
	file        handle
	start, size int64
}

// exclusiveLock is a lock on the lock file.
type exclusiveLock struct {
	exclusive bool         // nobody else has it
	downgrade func() error // lets others share it
	release   func()
}

// ErrInUse says that another gateway writes this log: what has no end event may be running under it.
var ErrInUse = errors.New("another gateway writes this audit log")

const (
	maxScan     = 256 << 20 // bytes read from the end of a file. A session that started earlier is not found
	maxScanLine = 2 << 20   // more than any event has. A longer line is skipped
)

// FindOrphans finds out what earlier gateways left running. It looks at the file and the one before it, if that was renamed
// to end in ".1", as they are now. It must be called before the gateway serves. Only a log in a file can be read; for others
// there are no events. Left.Release is set whatever the error.
//
// Each gateway has a shared lock for as long as it runs. Only one that can have the lock alone first looks for programs: no
// other gateway is running then, and none starts to serve before the files' sizes are known.
func (l *Log) FindOrphans() (Orphans, error) {
	left := Orphans{Release: func() {}}
	if l.file == nil {
		return left, nil
	}
	lock, err := acquireLock(l.file.path + ".lock")
	if err != nil {
		return left, fmt.Errorf("audit log: lock: %w", err)
	}
	left.Release = lock.release
	if !lock.exclusive {
		return left, ErrInUse
	}
	for _, path := range []string{l.file.path + ".1", l.file.path} {
		var s fileSection
		if s, err = openSection(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
			continue
		}
		if err != nil {
			break
		}
		left.files = append(left.files, s)
	}
	if err = errors.Join(err, lock.downgrade()); err != nil {
		left.close()
		return left, fmt.Errorf("audit log: %w", err)
	}
	return left, nil
}

// Events returns the start events of commands that run a program in a task and have neither an end event nor one that
// settles it, oldest first. It reads much, and may do so while the gateway serves. It can be called once.
func (l *Orphans) Events() (events []Event, err error) {
	defer l.close()
	open := map[string]Event{}
	for _, s := range l.files {
		if err := scan(io.NewSectionReader(s.file, s.start, s.size-s.start), s.start > 0, open); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
	}
	for _, e := range open {
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events, nil
}

func (l *Orphans) close() {
	for _, s := range l.files {
		s.file.Close()
	}
	l.files = nil
}

// openSection opens a file for scan. Programs are killed because of what it contains, so nobody else may have written it.
func openSection(path string) (fileSection, error) {
	f, err := openForScan(path)
	if err != nil {
		return fileSection{}, err
	}
	info, err := f.Stat()
	if err == nil {
		if err = checkOwner(info); err != nil {
			err = fmt.Errorf("%s is not trusted: %w", path, err)
		}
	}
	if err != nil {
		f.Close()
		return fileSection{}, err
	}
	return fileSection{file: f, start: max(0, info.Size()-maxScan), size: info.Size()}, nil
}

// scan adds the start events in r to open, by session, and removes those that were settled. If r starts in the middle of a
// line, it skips the rest of that.
func scan(r io.Reader, inLine bool, open map[string]Event) error {
	lines := bufio.NewReaderSize(r, maxScanLine)
	for {
		line, err := lines.ReadSlice('\n')
		skip := inLine
		inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case inLine:
			continue
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case skip:
			continue
		}
		switch kindOf(line) {
		case Start:
			var e Event
			if bytes.Contains(line, []byte(`"program":"`)) && json.Unmarshal(line, &e) == nil && e.namesProgram() {
				open[e.Session] = e
			}
		case End, Killed, Exited:
			delete(open, sessionOf(line))
		}
	}
}

// namesProgram reports whether an event says all that it takes to find its program and no other.
func (e Event) namesProgram() bool {
	return e.Session != "" && e.Program == e.Session+"." && e.Tier != "" && e.Job != "" && e.Allocation != "" && e.Task != ""
}

// kindOf returns the kind of the event in a line. It is the line's first field.
func kindOf(line []byte) Kind { return Kind(quotedAfter(line, `{"event":"`)) }

// sessionOf returns the session of the event in a line. No text of a user comes before it.
func sessionOf(line []byte) string { return quotedAfter(line, `"session":"`) }

func quotedAfter(line []byte, before string) string {
	_, rest, ok := bytes.Cut(line, []byte(before))
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	if !ok || !ended {
		return ""
	}
	return string(value)
}
