package tasklog

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// Printer prints the logs of one or several tasks to a client.
type Printer struct {
	Console   *console.Console
	Filter    Filter
	Highlight *regexp.Regexp // on a terminal with colors, matches stand out; nil: none
	Times     bool           // print the time before each line, if it is known
	JSON      bool           // print an object for each line, see JSONLine
	Split     bool           // print the task's stderr to stderr; otherwise both outputs go to stdout in their order

	mu          sync.Mutex // held while a line is written
	history     *history   // guarded by mu; nil: lines are written at once
	hasPrinted  bool       // guarded by mu: a line was written
	notedNoTime bool       // guarded by mu
	isTruncated bool       // guarded by mu: wanted lines did not fit into the history
}

// taskLog prints the log of one task.
type taskLog struct {
	*Printer
	task       Task
	prefix     string // printed before each line; escaped
	lines      [2]partialLine
	filter     filterState
	incomplete bool // lines were deleted before they were read

	isOpen    [2]bool   // guarded by mu, except in raw mode: the last line that was written of an output has no newline
	printedTo int       // guarded by mu: number of the last line that was written
	lastChunk time.Time // guarded by mu: when the last chunk was received; only set while there is a history
}

func (p *Printer) forTask(t Task, prefix string) *taskLog {
	return &taskLog{Printer: p, task: t, prefix: prefix}
}

// print prints a chunk.
func (t *taskLog) print(c backends.LogChunk) error {
	switch {
	case c.Note != "":
		t.note("%s%s", t.prefix, escape.Text(c.Note))
		return nil
	case c.Skipped > 0:
		return t.noteGap(c.Stderr, phrase.Count(c.Skipped, "line")+" skipped here: this client reads too slowly")
	case c.Lost:
		t.incomplete = true
		return t.noteGap(c.Stderr, "lines may be missing here: the log was rotated before they were read")
	case !t.isRaw():
		t.mu.Lock()
		if t.history != nil {
			t.lastChunk = time.Now()
			t.history.reportProgress(len(c.Data))
		}
		t.mu.Unlock()
		return t.splitLines(c)
	}
	out := t.Console.ByteOutput.Stdout
	if c.Stderr && t.Split {
		out = t.Console.ByteOutput.Stderr
	}
	if c.Unordered {
		if err := t.finishOtherLine(c.Stderr, out); err != nil {
			return err
		}
	}
	t.isOpen[c.OutputIndex()] = !bytes.HasSuffix(c.Data, []byte{'\n'})
	_, err := out.Write(c.Data)
	return err
}

// isRaw reports whether chunks are printed unchanged, without looking at lines.
func (t *taskLog) isRaw() bool {
	return t.Console.Terminal == nil && t.prefix == "" && t.Filter.isEmpty() && !t.Times && !t.JSON
}

// emit writes a line, or adds it to the history. isSelected: it is not only the context of a selected line.
func (t *taskLog) emit(l line, isSelected bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.history != nil {
		return t.history.add(t, l, isSelected)
	}
	return t.write(l)
}

// write writes a line. The caller holds mu.
func (t *taskLog) write(l line) error {
	out := t.out(l.stderr)
	if t.prefix == "" && !t.JSON {
		if err := t.finishOtherLine(l.stderr, out); err != nil {
			return err
		}
	}
	if t.Filter.hasContext() && !t.JSON && l.isStart && t.hasPrinted && l.number > t.printedTo+1 {
		if _, err := io.WriteString(out, "--\n"); err != nil {
			return err
		}
	}
	if t.Times && l.time.IsZero() && !t.notedNoTime {
		t.notedNoTime = true
		t.noteLocked("lines without a time come from Nomad's files, which have no times")
	}
	text, err := t.format(l)
	if err != nil {
		return err
	}
	t.isOpen[backends.LogChunk{Stderr: l.stderr}.OutputIndex()] = !bytes.HasSuffix(text, []byte{'\n'})
	t.hasPrinted, t.printedTo = true, l.number
	_, err = out.Write(text)
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
	isOpen := &t.isOpen[backends.LogChunk{Stderr: !stderr}.OutputIndex()]
	if !*isOpen || t.Split && t.Console.Terminal == nil {
		return nil
	}
	*isOpen = false
	_, err := io.WriteString(out, "\n")
	return err
}

// noteGap reports missing lines at the position where they would be.
func (t *taskLog) noteGap(stderr bool, text string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	output := backends.LogChunk{Stderr: stderr}.OutputIndex()
	if t.isOpen[output] && t.prefix == "" {
		if _, err := io.WriteString(t.out(stderr), "\n"); err != nil {
			return err
		}
	}
	t.isOpen[output] = false
	t.lines[output] = partialLine{text: t.lines[output].text[:0]}
	t.filter.number++ // so that lines with context are separated here
	t.noteLocked("%s%s", t.prefix, text)
	return nil
}

// Note prints a message about the logs to stderr. Its arguments may be untrusted.
func (p *Printer) Note(format string, args ...any) {
	p.note("%s", escape.Text(fmt.Sprintf(format, args...)))
}

// note prints a message of the gateway about a log. Untrusted arguments must be escaped.
func (p *Printer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked(format, args...)
}

// noteLocked is note for a caller that holds mu. On a terminal the message is on stdout, at its position among the
// lines.
func (p *Printer) noteLocked(format string, args ...any) {
	p.history.clearProgress()
	lines := render.Wrap(fmt.Sprintf("nomadctld: "+format, args...), p.Console.Style().Width)
	io.WriteString(p.Console.StatusWriter(), strings.Join(lines, "\n")+"\n")
}
