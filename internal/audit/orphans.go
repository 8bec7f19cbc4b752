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

// Orphans are the programs that earlier gateways left running when they crashed.
type Orphans struct {
	Release func() // to be called when the gateway stops; until then, other gateways do not search

	files []fileSection
}

// fileSection is the part of a file to scan. It ends where the file ended when the gateway started.
type fileSection struct {
	file        handle
	start, size int64
}

// gatewayLock is a lock on the lock file.
type gatewayLock struct {
	exclusive bool         // no other gateway has it
	downgrade func() error // makes it a shared lock
	release   func()
}

// ErrInUse is the error of FindOrphans if another gateway uses this log. Commands without an end event may be running
// there.
var ErrInUse = errors.New("another gateway writes this audit log")

const (
	maxScan     = 256 << 20 // bytes to read at the end of a file; earlier sessions are not found
	maxScanLine = 2 << 20   // above the size of any event; longer lines are skipped
)

// FindOrphans opens the audit file, and its predecessor with the suffix ".1", to search them for programs that earlier
// gateways left running. It must be called before the gateway serves, because the search ends at the current end of the
// files. If the log is a stream, there are no orphans. Orphans.Release is set even if there is an error.
//
// Each gateway holds a shared lock while it runs. FindOrphans first tries to get an exclusive lock. If it succeeds, no
// other gateway is running, and none starts to serve before the sizes of the files are known.
func (l *Log) FindOrphans() (Orphans, error) {
	orphans := Orphans{Release: func() {}}
	if l.file == nil {
		return orphans, nil
	}
	lock, err := acquireLock(l.file.path + ".lock")
	if err != nil {
		return orphans, fmt.Errorf("audit log: lock: %w", err)
	}
	orphans.Release = lock.release
	if !lock.exclusive {
		return orphans, ErrInUse
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
		orphans.files = append(orphans.files, s)
	}
	if err = errors.Join(err, lock.downgrade()); err != nil {
		orphans.close()
		return orphans, fmt.Errorf("audit log: %w", err)
	}
	return orphans, nil
}

// Events returns the start events of commands that started a program in a task and have no End, Killed or Exited event,
// oldest first. It can read up to 512 MiB. The gateway can serve requests at the same time. It can be called only once.
func (o *Orphans) Events() (events []Event, err error) {
	defer o.close()
	open := map[string]Event{}
	for _, s := range o.files {
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

func (o *Orphans) close() {
	for _, s := range o.files {
		s.file.Close()
	}
	o.files = nil
}

// openSection opens a file for scan. The gateway kills programs that the file lists, so it refuses a file that users
// other than its own and root can write.
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

// scan adds the start events of programs in r to open, by session, and removes those with an End, Killed or Exited
// event. If r starts in the middle of a line (inLine), it skips the rest of that line.
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

// namesProgram reports whether an event identifies exactly one program.
func (e Event) namesProgram() bool {
	return e.Session != "" && e.Program == e.Session+"." && e.Tier != "" && e.Job != "" && e.Allocation != "" &&
		e.Task != ""
}

// kindOf returns the kind of the event in a line. It is the first field of the line.
func kindOf(line []byte) Kind { return Kind(quotedAfter(line, `{"event":"`)) }

// sessionOf returns the session of the event in a line. No untrusted text comes before that field.
func sessionOf(line []byte) string { return quotedAfter(line, `"session":"`) }

func quotedAfter(line []byte, before string) string {
	_, rest, ok := bytes.Cut(line, []byte(before))
	value, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !closed {
		return ""
	}
	return string(value)
}
