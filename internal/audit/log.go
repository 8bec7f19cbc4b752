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
	"nomadctld/internal/metrics"
)

// Log writes events. Its methods may be called concurrently.
type Log struct {
	// Problems gets the events that cannot be written, and the reasons. nil: slog.Default().
	Problems *slog.Logger
	// Metrics counts lost events and refused commands. It may be nil.
	Metrics *metrics.Recorder

	file  *file            // nil if the log is a stream
	queue *linequeue.Queue // of the stream; nil if the log is a file

	mu   sync.Mutex
	lost int // events that were lost since the last write; guarded by mu
}

// Open returns a log that writes to the file at path, or to standard output if path is "-", or to standard error if
// path is empty. It creates a missing file with mode 0600. The log opens the file for each event, so that the file can
// be rotated by renaming it. Open removes a partial line, which a crash may leave at the end of the file, and reports
// it to problems.
func Open(path string, problems *slog.Logger) (*Log, error) {
	l := &Log{Problems: problems}
	switch path {
	case "":
		l.queue = linequeue.Stderr()
	case "-":
		l.queue = linequeue.Stdout()
	default:
		l.file = &file{
			open: func() (handle, error) { return openFile(path) }, path: path,
			onPartialLine: l.reportPartialLine,
		}
		return l, l.file.check()
	}
	return l, nil
}

// NewLog returns a log that writes to a stream.
func NewLog(w io.Writer) *Log { return &Log{queue: linequeue.New(w)} }

// Ready returns an error if the log knows that it cannot write events now. It may return nil although the next write
// will fail.
func (l *Log) Ready() error {
	if l.file != nil {
		return l.file.check()
	}
	if l.queue.Stalled() {
		return linequeue.ErrStalled
	}
	return nil
}

// RecordStart writes the start event of a command and, in a file, reserves space for its end event. If durable, it
// syncs the file.
//
// If required, RecordStart returns nil only after all of that succeeded. After an error, the command must not run. The
// log then has no start event, unless the sync failed or the reader of the stream stopped in the middle of the event.
// In that case, the end event has an error. If not required, RecordStart reports a failure to Problems and returns nil.
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

// ReportRefused reports a command that was refused because the audit log cannot be written.
func (l *Log) ReportRefused(e Event, err error) {
	l.Metrics.AuditRefusedCommand()
	l.problems().Error("audit log cannot be written; command refused", "session", e.Session, "user", e.User, "error",
		err)
}

// reportLost reports an event that could not be written.
func (l *Log) reportLost(e Event, line []byte, err error) {
	l.Metrics.AuditEventLost()
	l.problems().Error("audit event lost", "session", e.Session, "error", err, "event",
		strings.TrimSuffix(string(line), "\n"))
}

// Record writes an event. If that fails, it reports the complete event to Problems, as JSON.
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

// deliver writes an event to the stream. It returns an error if the stream does not accept the event. If the write
// fails later, it reports the event itself.
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
	l.problems().Error("audit event written without its command line; see the start event", "session", e.Session,
		"error", err, "event", strings.TrimSuffix(string(line), "\n"))
	return nil
}

// Close waits until a stream has accepted all events, or until the timeout.
func (l *Log) Close(timeout time.Duration) {
	if l.queue != nil {
		l.queue.Flush(timeout)
	}
}

// countLost counts an event as lost if err is not nil. Else it reports the number of events lost before. It returns
// err.
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

// reportPartialLine reports the partial line that was removed from the end of the file.
func (l *Log) reportPartialLine(part []byte) {
	l.problems().Warn("removed a partial line from the end of the audit log", "line", string(part))
}

func (l *Log) problems() *slog.Logger {
	if l.Problems == nil {
		return slog.Default()
	}
	return l.Problems
}

const (
	maxLine  = 128 << 10 // the maximum length of a command line that can run
	maxError = 4 << 10
	maxUser  = 256 // an unauthenticated client can send any name

	// Limits for encodeShort.
	maxShortError       = 512
	maxShortEvaluations = 8
)

// limitFields truncates the fields of an event that have no other limit. It never truncates a valid command line.
func limitFields(e Event) Event {
	e.User, e.Line, e.Error = truncate(e.User, maxUser), truncate(e.Line, maxLine), truncate(e.Error, maxError)
	if e.Command == nil {
		e.Command = []string{}
	}
	return e
}

// truncate returns s, or its start and its length.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}

var errNotRegular = errors.New("not a regular file")

// openFile opens the file at path for appending. It accepts only regular files: a symbolic link could point anywhere,
// and a FIFO or a device could block the gateway or lose events.
func openFile(path string) (handle, error) {
	return openRegular(path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
}

// openForScan opens a file for reading.
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
	kind := "something else"
	switch {
	case mode&os.ModeSymlink != 0:
		kind = "a symbolic link"
	case mode&os.ModeNamedPipe != 0:
		kind = "a FIFO"
	case mode&os.ModeSocket != 0:
		kind = "a socket"
	case mode&os.ModeDevice != 0:
		kind = "a device"
	case mode.IsDir():
		kind = "a directory"
	}
	return fmt.Errorf("%s: %w but %s; name a file, or \"-\" for standard output", path, errNotRegular, kind)
}
