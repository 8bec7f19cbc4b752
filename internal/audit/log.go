package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"nomadctld/internal/linequeue"
)

// Log writes events. Its methods may be called at the same time.
type Log struct {
	// Problems gets what cannot be written, and why. nil: slog.Default().
	Problems *slog.Logger

	file  *file            // nil: the log is a stream
	queue *linequeue.Queue // the stream

	mu   sync.Mutex
	lost int // events since the last that was written; guarded by mu
}

// Open returns a log that writes to the file at path, created for its owner alone if need be; "-" is standard
// output and the empty path standard error. The file is opened again for each event, so that it can be rotated
// by moving it away. A line that a crash left unfinished at its end is removed, and reported to problems.
func Open(path string, problems *slog.Logger) (*Log, error) {
	l := &Log{Problems: problems}
	switch path {
	case "":
		l.queue = linequeue.Stderr()
	case "-":
		l.queue = linequeue.Stdout()
	default:
		l.file = &file{open: func() (handle, error) { return openFile(path) }, path: path, onPartialLine: l.reportPartialLine}
		return l, l.file.check()
	}
	return l, nil
}

// NewLog returns a log that writes to a stream.
func NewLog(w io.Writer) *Log { return &Log{queue: linequeue.New(w)} }

// Ready returns an error if it is known that no event can be written now. nil promises nothing.
func (l *Log) Ready() error {
	if l.file != nil {
		return l.file.check()
	}
	if l.queue.Stalled() {
		return linequeue.ErrStalled
	}
	return nil
}

// RecordStart writes the start event of a command and, in a file, reserves space for its end event. If durable, it syncs the
// event to the disk.
//
// If required, Begin returns nil only after all that has succeeded, and the command must not run after an error. Then the
// log has no start event, unless the sync failed or the reader of the stream stopped in the middle of it, and the end
// event says that nothing was run. If not required, Begin reports to Problems what cannot be written and returns nil.
func (l *Log) RecordStart(e Event, durable, required bool) error {
	e.Kind = Start
	line, err := limitFields(e).encode()
	switch {
	case err != nil:
	case l.file != nil:
		err = l.file.appendStart(line, e.Session, durable)
	case required:
		err = l.queue.Commit(line)
	default:
		err = l.deliver(e, line)
	}
	if err = l.countLost(err); err == nil {
		return nil
	}
	if required {
		l.ReportRefused(e, err)
		return err
	}
	l.reportLost(e, line, err)
	return nil
}

// ReportRefused reports a command that was not run because the audit log cannot be written.
func (l *Log) ReportRefused(e Event, err error) {
	l.problems().Error("audit log cannot be written; command refused", "session", e.Session, "user", e.User, "error", err)
}

// reportLost reports an event that could not be written.
func (l *Log) reportLost(e Event, line []byte, err error) {
	l.problems().Error("audit event lost", "session", e.Session, "error", err, "event", strings.TrimSuffix(string(line), "\n"))
}

// Record writes an event. One that cannot be written goes to Problems, whole and as JSON.
func (l *Log) Record(e Event) {
	e = limitFields(e)
	line, err := e.encode()
	if err == nil {
		err = l.countLost(l.write(e, line))
	}
	if err != nil {
		l.reportLost(e, line, err)
		if l.file != nil && e.Kind == End {
			l.file.release(e.Session)
		}
	}
}

// deliver writes an event to the stream. It reports one that the stream does not accept later either.
func (l *Log) deliver(e Event, line []byte) error {
	return l.queue.Deliver(line, func(err error) { l.reportLost(e, line, l.countLost(err)) })
}

func (l *Log) write(e Event, line []byte) error {
	if l.file == nil {
		return l.deliver(e, line)
	}
	if e.Kind != End {
		return l.file.append(line, "")
	}
	err := l.file.append(line, e.Session)
	if err == nil || !l.file.isRunning(e.Session) {
		return err
	}
	short, failed := e.encodeShort()
	if failed != nil || l.file.append(short, e.Session) != nil {
		return err
	}
	l.problems().Error("audit event written without its command line, which the start event has", "session", e.Session,
		"error", err, "event", strings.TrimSuffix(string(line), "\n"))
	return nil
}

// Close waits until a stream has taken what was written to it, or until the timeout.
func (l *Log) Close(timeout time.Duration) {
	if l.queue != nil {
		l.queue.Flush(timeout)
	}
}

// countLost counts the events that were lost, and reports them once an event is written again.
func (l *Log) countLost(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.lost++
	case l.lost > 0:
		l.problems().Warn("audit log can be written again", "events_not_written", l.lost)
		l.lost = 0
	}
	return err
}

// reportPartialLine reports the unfinished line that was removed from the end of the file.
func (l *Log) reportPartialLine(part []byte) {
	l.problems().Warn("audit log ended in an unfinished line, which was removed", "line", string(part))
}

func (l *Log) problems() *slog.Logger {
	if l.Problems == nil {
		return slog.Default()
	}
	return l.Problems
}

const (
	maxLine  = 128 << 10 // as long as a command line may be; what is longer never runs
	maxError = 4 << 10
	maxUser  = 256 // a client that has proven nothing may claim any name

	// Bounds of the event that encodeShort returns.
	maxShortError       = 512
	maxShortEvaluations = 8
)

// limitFields bounds what of an event is not bounded otherwise. What a command line may hold is never cut.
func limitFields(e Event) Event {
	e.User, e.Line, e.Error = truncate(e.User, maxUser), truncate(e.Line, maxLine), truncate(e.Error, maxError)
	if e.Command == nil {
		e.Command = []string{}
	}
	return e
}

// truncate returns s, or its beginning and its length.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}

var errNotRegular = errors.New("is not a regular file")

// openFile opens the file at path. A symbolic link could lead anywhere, and a FIFO or a device could block everybody or
// lose everything, so only regular files are accepted.
func openFile(path string) (handle, error) {
	return openRegular(path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
}

// openForScan opens a file to read it.
func openForScan(path string) (handle, error) { return openRegular(path, os.O_RDONLY) }

func openRegular(path string, flags int) (handle, error) {
	f, err := os.OpenFile(path, flags|safeOpenFlags, 0o600)
	if err != nil {
		if info, failed := os.Lstat(path); failed == nil && !info.Mode().IsRegular() {
			return nil, notRegular(path, info.Mode())
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path, info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func notRegular(path string, mode os.FileMode) error {
	what := "it"
	switch {
	case mode&os.ModeSymlink != 0:
		what = "a symbolic link"
	case mode&os.ModeNamedPipe != 0:
		what = "a FIFO"
	case mode&os.ModeSocket != 0:
		what = "a socket"
	case mode&os.ModeDevice != 0:
		what = "a device"
	case mode.IsDir():
		what = "a directory"
	}
	return fmt.Errorf("%s %w but %s: name a file, or \"-\" for standard output", path, errNotRegular, what)
}
