package tasklog

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
)

// Printer prints the logs of one or several tasks to a client.
type Printer struct {
	Console *console.Console
	Pattern *regexp.Regexp // nil: print every line
	Times   bool           // print timestamps
	Split   bool           // print the task's stderr to stderr; otherwise both outputs go to stdout in their order

	mu sync.Mutex // held while a line is written
}

// taskLog prints the log of one task.
type taskLog struct {
	*Printer
	prefix     string         // printed before each line; escaped
	lines      [2]partialLine // of stdout and stderr
	incomplete bool           // lines were deleted before they were read
}

// partialLine is a line that is not complete yet.
type partialLine struct {
	text    []byte
	started bool // the start of the line has been written
	time    time.Time
}

func (p *Printer) forTask(prefix string) *taskLog { return &taskLog{Printer: p, prefix: prefix} }

// maxLogLine is the maximum length of a line for --grep, prefixes and terminals. Longer lines are split.
const maxLogLine = 64 << 10

// print prints a chunk.
func (t *taskLog) print(c backends.LogChunk) error {
	l := &t.lines[c.OutputIndex()]
	switch {
	case c.Note != "":
		t.note("%s%s", t.prefix, escape.Text(c.Note))
		return nil
	case c.Skipped > 0:
		return t.noteGap(c.Stderr, l, phrase.Count(c.Skipped, "line")+" skipped here: this client reads too slowly")
	case c.Lost:
		t.incomplete = true
		return t.noteGap(c.Stderr, l, "lines may be missing here: the log was rotated before they were read")
	}
	if t.isRaw() {
		out := t.Console.ByteOutput.Stdout
		if c.Stderr && t.Split {
			out = t.Console.ByteOutput.Stderr
		}
		if c.Unordered {
			if err := t.finishOtherLine(c.Stderr, out); err != nil {
				return err
			}
		}
		l.started = !bytes.HasSuffix(c.Data, []byte{'\n'})
		_, err := out.Write(c.Data)
		return err
	}
	for data := c.Data; len(data) > 0; {
		if len(l.text) == 0 {
			l.time = c.Time
		}
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		end = min(end, maxLogLine-len(l.text))
		l.text = append(l.text, data[:end]...)
		data = data[end:]
		if l.text[len(l.text)-1] == '\n' || len(l.text) == maxLogLine {
			if err := t.write(c.Stderr, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// isRaw reports whether chunks are printed unchanged, without looking at lines.
func (t *taskLog) isRaw() bool {
	return t.Console.Terminal == nil && t.prefix == "" && t.Pattern == nil && !t.Times
}

// finishLines completes the lines that a container left incomplete, before the output of the next container.
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

// flush prints the incomplete lines at the end of the log.
func (t *taskLog) flush() error {
	for i := range t.lines {
		if len(t.lines[i].text) == 0 {
			continue
		}
		if t.prefix != "" || t.Console.Terminal != nil {
			t.lines[i].text = append(t.lines[i].text, '\n')
		}
		if err := t.write(i == 1, &t.lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// write prints a line, or a part of a long line.
func (t *taskLog) write(stderr bool, l *partialLine) error {
	text, isComplete := bytes.CutSuffix(l.text, []byte{'\n'})
	defer func() { l.text = l.text[:0] }()
	if t.Pattern != nil && !l.started && !t.Pattern.Match(bytes.TrimSuffix(text, []byte{'\r'})) {
		return nil
	}
	var shown []byte
	if !l.started || t.prefix != "" {
		shown = append(shown, t.prefix...)
		if t.Times && !l.time.IsZero() {
			shown = append(l.time.UTC().AppendFormat(shown, "2006-01-02T15:04:05.000000000Z07:00"), ' ')
		}
	}
	if t.Console.Terminal != nil {
		shown = append(shown, escape.Line(string(text), !t.Console.NoColor)...)
	} else {
		shown = append(shown, text...)
	}
	if isComplete || t.prefix != "" {
		shown = append(shown, '\n')
	}
	l.started = !isComplete
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

// out returns the stream for one of the task's outputs. Both go to stdout, because ssh does not preserve the order of
// its two streams. With --split and without a terminal, stderr goes to stderr.
func (t *taskLog) out(stderr bool) io.Writer {
	if stderr && t.Split && t.Console.Terminal == nil {
		return t.Console.Stderr
	}
	return t.Console.Stdout
}

// finishOtherLine completes an incomplete line of the other output if both go to the same stream.
func (t *taskLog) finishOtherLine(stderr bool, out io.Writer) error {
	other := &t.lines[backends.LogChunk{Stderr: !stderr}.OutputIndex()]
	if !other.started || t.Split && t.Console.Terminal == nil {
		return nil
	}
	other.started = false
	_, err := io.WriteString(out, "\n")
	return err
}

// noteGap reports missing lines at the position where they would be.
func (t *taskLog) noteGap(stderr bool, l *partialLine, text string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.started && t.prefix == "" {
		if _, err := io.WriteString(t.out(stderr), "\n"); err != nil {
			return err
		}
	}
	l.text, l.started = l.text[:0], false
	_, err := fmt.Fprintf(t.Console.Stderr, "nomadctld: %s%s\n", t.prefix, text)
	return err
}

// note prints a message of the gateway about a log. Untrusted arguments must be escaped.
func (t *taskLog) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.Console.Stderr, "nomadctld: "+format+"\n", args...)
}
