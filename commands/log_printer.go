package commands

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

// logPrinter shows the logs of one or several tasks on one client's streams.
type logPrinter struct {
	req     *router.Request
	pattern *regexp.Regexp // nil: every line
	times   bool
	split   bool // what is of stderr goes to stderr; else all goes to stdout, in its order

	mu sync.Mutex // a line is written as one
}

// taskLog shows the log of one task.
type taskLog struct {
	*logPrinter
	prefix     string // of each line; harmless text
	lines      [2]partialLine
	incomplete bool // something is missing that was deleted before it was read
}

// partialLine is the beginning of a line whose end has not come yet.
type partialLine struct {
	text    []byte
	started bool // a part of it has been written
	time    time.Time
}

func (p *logPrinter) forTask(prefix string) *taskLog { return &taskLog{logPrinter: p, prefix: prefix} }

// maxLogLine is how much of a line is looked at as one: for --grep, a prefix or a terminal longer lines are cut up.
const maxLogLine = 64 << 10

// print shows a piece.
func (t *taskLog) print(p backends.LogChunk) error {
	l := &t.lines[p.Output()]
	switch {
	case p.Note != "":
		t.note("%s%s", t.prefix, escape.Text(p.Note))
		return nil
	case p.Skipped > 0:
		return t.noteGap(p.Stderr, l, plural(p.Skipped, "line")+" skipped here: they came faster than this client reads")
	case p.Lost:
		t.incomplete = true
		return t.noteGap(p.Stderr, l, "lines may be missing here: the log was rotated before they were read")
	}
	if t.isRaw() {
		out := t.req.Bytes.Stdout
		if p.Stderr && t.split {
			out = t.req.Bytes.Stderr
		}
		if p.Unordered {
			if err := t.finishOtherLine(p.Stderr, out); err != nil {
				return err
			}
		}
		l.started = !bytes.HasSuffix(p.Data, []byte{'\n'})
		_, err := out.Write(p.Data)
		return err
	}
	for data := p.Data; len(data) > 0; {
		if len(l.text) == 0 {
			l.time = p.Time
		}
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		end = min(end, maxLogLine-len(l.text))
		l.text = append(l.text, data[:end]...)
		data = data[end:]
		if l.text[len(l.text)-1] == '\n' || len(l.text) == maxLogLine {
			if err := t.write(p.Stderr, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// isRaw reports whether what comes is shown as it is, whatever its lines.
func (t *taskLog) isRaw() bool {
	return t.req.Terminal == nil && t.prefix == "" && t.pattern == nil && !t.times
}

// finishLines ends the lines that a container has left without an end: those of the next one are others.
func (t *taskLog) finishLines() error {
	if t.isRaw() {
		return nil
	}
	for i := range t.lines {
		l := &t.lines[i]
		if len(l.text) > 0 || l.started && t.prefix == "" {
			l.text = append(l.text, '\n')
			if err := t.write(i == 1, l); err != nil {
				return err
			}
		}
		l.started = false
	}
	return nil
}

// flush shows what has no end of a line and will get none.
func (t *taskLog) flush() error {
	for i := range t.lines {
		if len(t.lines[i].text) == 0 {
			continue
		}
		if t.prefix != "" || t.req.Terminal != nil {
			t.lines[i].text = append(t.lines[i].text, '\n')
		}
		if err := t.write(i == 1, &t.lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// write shows a line, or a part of a long one.
func (t *taskLog) write(stderr bool, l *partialLine) error {
	text, whole := bytes.CutSuffix(l.text, []byte{'\n'})
	defer func() { l.text = l.text[:0] }()
	if t.pattern != nil && !l.started && !t.pattern.Match(bytes.TrimSuffix(text, []byte{'\r'})) {
		return nil
	}
	var shown []byte
	if !l.started || t.prefix != "" {
		shown = append(shown, t.prefix...)
		if t.times && !l.time.IsZero() {
			shown = append(l.time.UTC().AppendFormat(shown, "2006-01-02T15:04:05.000000000Z07:00"), ' ')
		}
	}
	if t.req.Terminal != nil {
		shown = append(shown, escape.Line(string(text), !t.req.NoColor)...)
	} else {
		shown = append(shown, text...)
	}
	if whole || t.prefix != "" {
		shown = append(shown, '\n')
	}
	l.started = !whole
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.prefix == "" {
		if err := t.finishOtherLine(stderr, t.out(stderr)); err != nil {
			return err
		}
	}
	_, err := t.out(stderr).Write(shown)
	return err
}

// out returns the stream for text of an output. ssh keeps no order between its two streams, so both outputs go to one, unless
// that is not wanted; on a terminal they do so anyway.
func (t *taskLog) out(stderr bool) io.Writer {
	if stderr && t.split && t.req.Terminal == nil {
		return t.req.Stderr
	}
	return t.req.Stdout
}

// finishOtherLine ends the line of the other output, if that has none yet and both go to one stream.
func (t *taskLog) finishOtherLine(stderr bool, out io.Writer) error {
	other := &t.lines[backends.LogChunk{Stderr: !stderr}.Output()]
	if !other.started || t.split && t.req.Terminal == nil {
		return nil
	}
	other.started = false
	_, err := io.WriteString(out, "\n")
	return err
}

// noteGap says that lines are missing where they would be.
func (t *taskLog) noteGap(stderr bool, l *partialLine, what string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.started && t.prefix == "" {
		if _, err := io.WriteString(t.out(stderr), "\n"); err != nil {
			return err
		}
	}
	l.text, l.started = l.text[:0], false
	_, err := fmt.Fprintf(t.req.Stderr, "nomadctld: %s%s\n", t.prefix, what)
	return err
}

// note says something of ours about a log.
func (t *taskLog) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.req.Stderr, "nomadctld: "+format+"\n", args...)
}
