package audit

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"nomadctld/internal/escape"
)

// Log writes events. Its methods may be called at the same time.
type Log struct {
	path string // empty when out is used
	out  io.Writer

	mu   sync.Mutex
	torn bool // the last event could not be written, or only a part of it
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

// Ready returns an error when an event could not be written now. After a failed write it tries, and thereby ends
// the torn line.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.torn {
		return l.append(nil)
	}
	if l.path == "" {
		return nil
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	return f.Close()
}

// Write appends the event as one line, in one write. Texts beyond maxText are cut.
func (l *Log) Write(e Event) error {
	e.Line, e.Error = cut(e.Line), cut(e.Error)
	e.Command = cutAll(e.Command)
	line, err := escape.JSON(e, "")
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(append(line, '\n'))
}

// append writes b, after the end of a line that was torn. l.mu is held.
func (l *Log) append(b []byte) (err error) {
	if l.torn {
		b = append([]byte("\n"), b...)
	}
	l.torn = true
	out := l.out
	if l.path != "" {
		f, err := l.open()
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	if _, err = out.Write(b); err == nil {
		l.torn = false
	}
	return err
}

// maxText is how much of a text an event holds, in bytes. A command line may be longer, and escaped it grows.
const maxText = 4 << 10

// cut returns s, or its beginning and its length.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:maxText], ""), len(s))
}

// cutAll returns the words that fit into maxText together, the last of them cut.
func cutAll(words []string) []string {
	kept, left := []string{}, maxText
	for i, word := range words {
		if left -= len(word) + 1; left < 0 {
			return append(kept, cut(word), fmt.Sprintf("... (%d words)", len(words)-i-1))
		}
		kept = append(kept, word)
	}
	return kept
}

func (l *Log) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}
