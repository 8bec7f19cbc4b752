package docker

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends"
)

// storedLog measures the part of a log that Docker has stored.
type storedLog struct {
	outputs     [2]backends.RetainedOutput
	partialLine [2]bool // the last line has no newline yet
	start       time.Time
	entries     int
	size        int64 // of the data as JSON
}

const (
	maxHead = 4 << 10 // bytes that are compared with another source
	maxTail = 256

	entryOverhead = 80 // bytes of a log file entry in addition to its data
)

// add measures one chunk. first is true for the first chunk of an entry.
func (s *storedLog) add(p backends.LogChunk, first bool) {
	if first {
		s.entries++
	}
	if s.start.IsZero() {
		s.start = p.Time
	}
	if len(p.Data) == 0 {
		return
	}
	for _, b := range p.Data {
		s.size += int64(jsonLen[b])
	}
	o := &s.outputs[p.OutputIndex()]
	o.Bytes += int64(len(p.Data))
	o.Lines += bytes.Count(p.Data, newline)
	if room := maxHead - len(o.Head); room > 0 {
		o.Head = append(o.Head, p.Data[:min(room, len(p.Data))]...)
	}
	o.Tail = append(o.Tail, p.Data[max(0, len(p.Data)-maxTail):]...)
	if len(o.Tail) > maxTail {
		o.Tail = append(o.Tail[:0], o.Tail[len(o.Tail)-maxTail:]...)
	}
	s.partialLine[p.OutputIndex()] = p.Data[len(p.Data)-1] != '\n'
}

// jsonLen is the maximum number of bytes that Docker writes for a byte of a log.
var jsonLen = func() (n [256]uint8) {
	for b := range n {
		switch {
		case b == '"', b == '\\', b == '\n', b == '\r', b == '\t':
			n[b] = 2
		case b < ' ', b == '<', b == '>', b == '&':
			n[b] = 6
		case b >= 0x80:
			n[b] = 6 // 1 if it is valid UTF-8
		default:
			n[b] = 1
		}
	}
	return n
}()

// scanAll reads everything that Docker has stored. Then it calls reportRetained.
func (l *logReader) scanAll(ctx context.Context) error {
	r := logRequest{stdout: true, stderr: true, times: true, tail: -1}
	err := l.fetch(ctx, r, func(p backends.LogChunk, first bool) error {
		l.newest = p.Time
		l.stored.add(p, first)
		return nil
	})
	if err != nil {
		return err
	}
	return l.reportRetained(ctx)
}

// reportRetained calls query.OnRetained, unless the caller needs no lines older than the oldest that Docker has stored.
func (l *logReader) reportRetained(ctx context.Context) error {
	stored := &l.stored
	coversSince := !l.query.Since.IsZero() && !stored.start.IsZero() && !stored.start.After(l.query.Since)
	if l.query.OnRetained == nil || l.query.Lines == 0 || l.query.AfterContainer != "" || coversSince {
		return nil
	}
	retained := backends.RetainedLog{Start: stored.start, Outputs: stored.outputs}
	for i := range retained.Outputs {
		if stored.partialLine[i] {
			retained.Outputs[i].Lines++
		}
	}
	if minSize := l.minRotatedSize(); minSize >= 0 {
		retained.Rotated = stored.size+int64(stored.entries)*entryOverhead >= minSize
	}
	if err := l.query.OnRetained(ctx, retained); err != nil {
		return &retainedError{err}
	}
	return nil
}

// retainedError is an error of query.OnRetained.
type retainedError struct{ error }

func (e *retainedError) Unwrap() error { return e.error }

// rotates reports whether the log driver may delete old lines.
func (l *logReader) rotates() bool { return l.minRotatedSize() >= 0 }

// minRotatedSize returns the minimal size of Docker's log files after it has deleted some. It is negative if Docker
// deletes none.
func (l *logReader) minRotatedSize() int64 {
	config := l.container.HostConfig.LogConfig
	size, files := config.Config["max-size"], config.Config["max-file"]
	n, err := strconv.ParseInt(files, 10, 32)
	switch config.Type {
	case "json-file":
		if size == "" || size == "-1" {
			return -1
		}
		if files == "" {
			n, err = 1, nil
		}
	case "local":
		if size == "" {
			size = "20m"
		}
		if files == "" {
			n, err = 5, nil
		}
	}
	fileSize, ok := parseSize(size)
	if err != nil || !ok {
		return 0 // unknown
	}
	return fileSize * max(n-1, 0)
}

// parseSize returns the bytes of a size such as 2m, as Docker parses it.
func parseSize(size string) (int64, bool) {
	size = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(size)), "b")
	factor := int64(1)
	for unit, n := range map[string]int64{"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12} {
		if rest, ok := strings.CutSuffix(size, unit); ok {
			size, factor = strings.TrimSpace(rest), n
			break
		}
	}
	n, err := strconv.ParseFloat(size, 64)
	if err != nil || !(n >= 0) || n > 1e6 && factor > 1 {
		return 0, false
	}
	return int64(n * float64(factor)), true
}
