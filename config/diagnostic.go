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

// Diagnostic is one thing wrong with the file, or with a file it names, and what to write instead.
type Diagnostic struct {
	File         string // the config file, as given to Load
	Line, Column int    // 1-based, the column in characters; 0: unknown
	Warning      bool   // the file loads all the same
	Message      string
	Hint         string // the next step
}

// String is one printable line: "nomadctld.toml:12:3: message; mend".
func (f Diagnostic) String() string {
	s := f.File
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
	}
	if f.Column > 0 {
		s += fmt.Sprintf(":%d", f.Column)
	}
	s += ": "
	if f.Warning {
		s += "warning: "
	}
	s += f.Message
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return printable(s)
}

// A report collects the faults of one file.
type report struct {
	file        string
	src         []byte
	lines       []int // where each line begins
	diagnostics []Diagnostic
}

// setSource makes src the text that offsets refer to.
func (r *report) setSource(src []byte) {
	r.src, r.lines = src, []int{0}
	for i, c := range src {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
}

// errorf refuses the file because of what stands at offset at; -1 is the file as a whole.
func (r *report) errorf(at int, mend, message string, args ...any) {
	f := Diagnostic{File: r.file, Message: printable(fmt.Sprintf(message, args...)), Hint: printable(mend)}
	if at >= 0 {
		f.Line = r.line(at)
		f.Column = utf8.RuneCount(r.src[r.lines[f.Line-1]:at]) + 1
	}
	r.diagnostics = append(r.diagnostics, f)
}

// warnf is fault, but the file loads.
func (r *report) warnf(at int, mend, message string, args ...any) {
	r.errorf(at, mend, message, args...)
	r.diagnostics[len(r.diagnostics)-1].Warning = true
}

// line is the 1-based line of an offset.
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

// quote shows foreign text: in quotes, escaped, and not at any length.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + "..."
	}
	return strconv.Quote(s)
}

// printable escapes whatever could steer a terminal or break the line.
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
