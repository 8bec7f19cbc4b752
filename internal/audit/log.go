package audit

import (
	"fmt"
	"io"
	"os"
	"sync"

	"nomadctld/internal/escape"
)

// Log writes events. Its methods may be called at the same time.
type Log struct {
	path string // empty when out is used
	mu   sync.Mutex
	out  io.Writer
}

// Open returns a log that writes to the file at path, created for its owner alone if need be; "-" is standard
// output and the empty path standard error. The file is opened anew for each event, so that it can be rotated
// by moving it away.
func Open(path string) (*Log, error) {
	switch path {
	case "":
		return NewLog(os.Stderr), nil
	case "-":
		return NewLog(os.Stdout), nil
	}
	l := &Log{path: path}
	return l, l.Ready()
}

// NewLog returns a log that writes to w.
func NewLog(w io.Writer) *Log { return &Log{out: w} }

// Ready returns an error when an event could not be written now.
func (l *Log) Ready() error {
	if l.path == "" {
		return nil
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	return f.Close()
}

// Write appends the event as one line, in one write.
func (l *Log) Write(e Event) error {
	line, err := escape.JSON(e, "")
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		_, err = l.out.Write(line)
		return err
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (l *Log) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}
