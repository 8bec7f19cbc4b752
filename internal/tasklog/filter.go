package tasklog

import (
	"bytes"
	"regexp"
	"time"

	"nomadctld/backends"
)

// Filter selects the lines to print. The zero value selects all lines.
type Filter struct {
	Pattern       *regexp.Regexp // only lines that match; nil: all
	Exclude       *regexp.Regexp // no lines that match, not even as context; nil: none
	Before, After int            // context: lines of the task to print before and after each selected line
	Until         time.Time      // no newer lines; zero: all

	// Last limits the selected lines of each task to the last ones, see backends.ShareLines. 0: no limit. With a limit,
	// lines are buffered until the end of the existing log has been read.
	Last int
	// NoteOlder makes the printer report how many selected lines are not printed because of Last.
	NoteOlder bool
}

// isEmpty reports whether the filter selects all lines.
func (f *Filter) isEmpty() bool {
	return f.Pattern == nil && f.Exclude == nil && f.Until.IsZero() && f.Last == 0
}

// hasContext reports whether lines are printed with their context.
func (f *Filter) hasContext() bool { return f.Before > 0 || f.After > 0 }

// matches reports whether a line matches Pattern. It ignores Exclude and Until.
func (f *Filter) matches(text []byte) bool {
	return f.Pattern == nil || f.Pattern.Match(bytes.TrimSuffix(text, []byte{'\r'}))
}

// excludes reports whether the filter treats a line as if the log did not contain it.
func (f *Filter) excludes(text []byte) bool {
	return f.Exclude != nil && f.Exclude.Match(bytes.TrimSuffix(text, []byte{'\r'}))
}

// maxContextBytes limits the buffered lines before a selected line, for each task. Each line counts as lineOverhead
// more than its text.
const (
	maxContextBytes = 64 << 10
	lineOverhead    = 128
)

// filterState is the state of the filter for one task.
type filterState struct {
	number     int        // of the newest line; excluded lines have none
	current    [2]line    // the start of the current line of each output, without its text
	isPrinted  [2]bool    // the current line of each output is printed
	isExcluded [2]bool    // the current line of each output is excluded
	before     lineBuffer // the last lines that were not printed
	after      int        // lines still to print after the last selected one
}

// lineBuffer holds the newest lines, up to a number of lines and maxContextBytes.
type lineBuffer struct {
	lines []line
	size  int
}

// add appends a line and drops the lines whose number is less than from. If it drops the start of a long line, it also
// drops the other parts.
func (b *lineBuffer) add(l line, from int) {
	b.lines = append(b.lines, l.clone())
	b.size += len(l.text) + lineOverhead
	for len(b.lines) > 0 && (b.lines[0].number < from || b.size > maxContextBytes || !b.lines[0].isStart) {
		b.size -= len(b.lines[0].text) + lineOverhead
		b.lines = b.lines[1:]
	}
}

// filterLine filters a line. It passes the selected lines with their context to emit.
func (t *taskLog) filterLine(l line) error {
	f, s := &t.Filter, &t.filter
	output := backends.LogChunk{Stderr: l.stderr}.OutputIndex()
	isSelected := false
	if l.isStart {
		s.isExcluded[output] = f.excludes(l.text)
	}
	if s.isExcluded[output] {
		return nil
	}
	if l.isStart {
		s.number++
		l.number = s.number
		s.current[output] = line{number: l.number, time: l.time}
		isSelected = f.matches(l.text)
		s.isPrinted[output] = isSelected || s.after > 0
	} else {
		l.number, l.time = s.current[output].number, s.current[output].time
	}
	if !f.Until.IsZero() && l.time.After(f.Until) {
		s.isPrinted[output] = false
		return nil
	}
	switch {
	case isSelected:
		before := s.before.lines
		s.before, s.after = lineBuffer{}, f.After
		for _, b := range before {
			if b.number < l.number-f.Before {
				continue
			}
			if err := t.emit(b, false); err != nil {
				return err
			}
		}
	case !s.isPrinted[output]:
		if f.Before > 0 {
			s.before.add(l, s.number+1-f.Before)
		}
		return nil
	case l.isStart:
		s.after--
	}
	return t.emit(l, isSelected)
}
