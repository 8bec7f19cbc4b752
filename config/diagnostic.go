package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Diagnostic is an error or a warning about the config file or a file that it names. It includes what to write instead.
type Diagnostic struct {
	File         string // the config file, as passed to Load
	Line, Column int    // 1-based, the column in characters; 0: unknown
	Warning      bool   // the file still loads
	Message      string
	Hint         string // the next step
}

// String is one printable line: "nomadctld.toml:12:3: message; hint".
func (d Diagnostic) String() string {
	s := d.File
	if d.Line > 0 {
		s += fmt.Sprintf(":%d", d.Line)
	}
	if d.Column > 0 {
		s += fmt.Sprintf(":%d", d.Column)
	}
	s += ": "
	if d.Warning {
		s += "warning: "
	}
	s += d.Message
	if d.Hint != "" {
		s += "; " + d.Hint
	}
	return printable(s)
}

// A report collects the diagnostics of one file. Positions in the file are byte offsets in src.
type report struct {
	file        string
	src         []byte
	lines       []int // the offset of each line
	diagnostics []Diagnostic
	files       map[string]fileDigest // see Source
}

// setSource sets the text that offsets refer to.
func (r *report) setSource(src []byte) {
	r.src, r.lines = src, []int{0}
	for i, c := range src {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
}

// errorf adds an error, so the file is refused. at is its offset, or -1 for the whole file.
func (r *report) errorf(at int, hint, message string, args ...any) {
	d := Diagnostic{File: r.file, Message: printable(fmt.Sprintf(message, args...)), Hint: printable(hint)}
	if at >= 0 {
		d.Line = r.line(at)
		d.Column = utf8.RuneCount(r.src[r.lines[d.Line-1]:at]) + 1
	}
	r.diagnostics = append(r.diagnostics, d)
}

// warnf adds a warning.
func (r *report) warnf(at int, hint, message string, args ...any) {
	r.errorf(at, hint, message, args...)
	r.diagnostics[len(r.diagnostics)-1].Warning = true
}

// line returns the 1-based line of an offset.
func (r *report) line(at int) int {
	i, found := slices.BinarySearch(r.lines, at)
	if found {
		return i + 1
	}
	return i
}

func (r *report) sorted() []Diagnostic {
	slices.SortStableFunc(r.diagnostics, func(a, b Diagnostic) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return r.diagnostics
}

// quote returns untrusted text in quotes, escaped and shortened.
func quote(s string) string {
	const maxRunes = 60
	if r := []rune(s); len(r) > maxRunes {
		return strconv.Quote(string(r[:maxRunes])) + "..."
	}
	return strconv.Quote(s)
}

// printable escapes every character that could control a terminal or break the line.
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			q := strconv.QuoteRune(c)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
