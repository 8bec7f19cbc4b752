package tasklog

import (
	"bytes"
	"time"

	"nomadctld/backends"
)

// line is a line of a task's log, or a part of a long line.
type line struct {
	text       []byte // without the newline
	time       time.Time
	stderr     bool
	unordered  bool // its order relative to lines of the other output is not known
	isStart    bool // it is the start of a line
	isComplete bool // it is the end of a line
	number     int  // position in the task's log; parts of a line have the same
}

func (l line) clone() line {
	l.text = bytes.Clone(l.text)
	return l
}

// partialLine is a line that is not complete yet.
type partialLine struct {
	text      []byte
	time      time.Time
	unordered bool
	started   bool // the start of the line has been passed on
}

// maxLogLine is the maximum length of a line for filters, prefixes and terminals. Longer lines are split.
const maxLogLine = 64 << 10

// splitLines calls filterLine for each line in a chunk. It buffers an incomplete last line until the next chunk.
func (t *taskLog) splitLines(c backends.LogChunk) error {
	l := &t.lines[c.OutputIndex()]
	for data := c.Data; len(data) > 0; {
		if len(l.text) == 0 {
			l.time, l.unordered = c.Time, c.Unordered
		}
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		end = min(end, maxLogLine-len(l.text))
		l.text = append(l.text, data[:end]...)
		data = data[end:]
		if l.text[len(l.text)-1] == '\n' || len(l.text) == maxLogLine {
			if err := t.passLine(c.Stderr); err != nil {
				return err
			}
		}
	}
	return nil
}

// passLine calls filterLine for the current line of an output.
func (t *taskLog) passLine(stderr bool) error {
	l := &t.lines[backends.LogChunk{Stderr: stderr}.OutputIndex()]
	text, isComplete := bytes.CutSuffix(l.text, []byte{'\n'})
	err := t.filterLine(line{
		text: text, time: l.time, stderr: stderr, unordered: l.unordered, isStart: !l.started, isComplete: isComplete,
	})
	l.text, l.started = l.text[:0], !isComplete
	return err
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
			if err := t.passLine(i == 1); err != nil {
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
		if err := t.passLine(i == 1); err != nil {
			return err
		}
	}
	return nil
}
