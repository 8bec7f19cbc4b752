package tasklog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

// printNumbers prints lines with the numbers 1 to n, and returns what was written to stdout and stderr.
func printNumbers(t *testing.T, f Filter, n int) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	v := View{Printer: &Printer{Console: newConsole(&out, &errs), Filter: f}}
	if f.Last > 0 {
		if err := v.startHistory(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	log := v.Printer.forTask(Task{}, "")
	for i := range n {
		if err := log.print(backends.LogChunk{Data: fmt.Appendf(nil, "%d\n", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Printer.endHistory(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), "\n", " "), errs.String()
}

func TestFilter_Lines(t *testing.T) {
	match := regexp.MustCompile
	for name, tc := range map[string]struct {
		filter Filter
		want   string
	}{
		"pattern":     {Filter{Pattern: match("^[17]$")}, "1 7 "},
		"exclude":     {Filter{Exclude: match("[1-7]")}, "8 9 "},
		"both":        {Filter{Pattern: match("1"), Exclude: match("^1[0-7]$")}, "1 18 19 "},
		"after":       {Filter{Pattern: match("^[17]$"), After: 2}, "1 2 3 -- 7 8 9 "},
		"before":      {Filter{Pattern: match("^(1|7|19)$"), Before: 2}, "1 -- 5 6 7 -- 17 18 19 "},
		"adjacent":    {Filter{Pattern: match("^[47]$"), Before: 1, After: 1}, "3 4 5 6 7 8 "},
		"overlapping": {Filter{Pattern: match("^[57]$"), Before: 3, After: 3}, "2 3 4 5 6 7 8 9 10 "},
		"no excluded context": {
			Filter{Pattern: match("^(5|9|15)$"), Exclude: match("^(3|6|7|16)$"), Before: 2, After: 2},
			"2 4 5 8 9 10 11 -- 13 14 15 17 18 ",
		},
		"excluded match": {Filter{Pattern: match("^(5|8)$"), Exclude: match("^5$"), Before: 1, After: 1}, "7 8 9 "},
		"only excluded between": {
			Filter{Pattern: match("^(5|8)$"), Exclude: match("^[67]$"), After: 1}, "5 8 9 ",
		},
		"last without excluded": {
			Filter{Pattern: match("^(3|5|9)$"), Exclude: match("^(4|8|10)$"), Before: 1, After: 1, Last: 2},
			"3 5 6 7 9 11 ",
		},
		"last":               {Filter{Pattern: match("1"), Last: 3}, "17 18 19 "},
		"last of all":        {Filter{Last: 2}, "19 20 "},
		"last with context":  {Filter{Pattern: match("^(3|5|9|15)$"), Before: 1, After: 1, Last: 2}, "8 9 10 -- 14 15 16 "},
		"last, context kept": {Filter{Pattern: match("^[567]$"), Before: 2, After: 1, Last: 2}, "4 5 6 7 8 "},
		"fewer than last":    {Filter{Pattern: match("^[57]$"), Last: 5}, "5 7 "},
		"no match":           {Filter{Pattern: match("x"), Before: 1, After: 1, Last: 5}, ""},
	} {
		if got, _ := printNumbers(t, tc.filter, 20); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestFilter_NotesOlderMatches(t *testing.T) {
	f := Filter{Pattern: regexp.MustCompile("1"), Last: 3, NoteOlder: true}
	if _, got := printNumbers(t, f, 20); got != "nomadctld: 8 older matching lines not shown (for all: -n all)\n" {
		t.Errorf("got %q", got)
	}
	f.Last = 100
	if _, got := printNumbers(t, f, 20); got != "" {
		t.Errorf("all are shown: got %q", got)
	}
}

// TestFilter_LastOfBothOutputs checks that Last counts the lines of both outputs together. In Nomad's files, which are
// printed before the lines of a container, the order of the outputs is not known.
func TestFilter_LastOfBothOutputs(t *testing.T) {
	const note = "nomadctld: %s not shown (for all: -n all)\n"
	for name, tc := range map[string]struct {
		last         int
		chunks, want string // o, e: ordered; O, E: from Nomad's files
		note         string
	}{
		"in the order written": {3, "o1 e2 o3 o4 o5", "o3 o4 o5", fmt.Sprintf(note, "2 older matching lines")},
		"both":                 {3, "o1 e2 o3 e4", "e2 o3 e4", fmt.Sprintf(note, "1 older matching line")},
		"files, shared":        {5, "O1 O2 O3 O4 E5 E6 E7 E8", "O3 O4 E6 E7 E8", fmt.Sprintf(note, "3 older matching lines")},
		"files, little stderr": {5, "O1 O2 O3 O4 O5 E6", "O2 O3 O4 O5 E6", fmt.Sprintf(note, "1 older matching line")},
		"files, few":           {5, "O1 E2 E3", "O1 E2 E3", ""},
		"files and container":  {4, "O1 O2 E3 E4 o5 e6", "O2 E4 o5 e6", fmt.Sprintf(note, "2 older matching lines")},
		"container only":       {2, "O1 O2 E3 E4 o5 e6", "o5 e6", fmt.Sprintf(note, "4 older matching lines")},
	} {
		var out, errs bytes.Buffer
		v := View{Printer: &Printer{Console: newConsole(&out, &errs), Filter: Filter{
			Pattern: regexp.MustCompile("[0-9]$"), Last: tc.last, NoteOlder: true,
		}}}
		if err := v.startHistory(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		log := v.Printer.forTask(Task{}, "")
		for text := range strings.FieldsSeq(tc.chunks) {
			kind := strings.ToLower(text[:1])
			err := log.print(backends.LogChunk{Stderr: kind == "e", Unordered: kind != text[:1], Data: []byte(text + "\n")})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Printer.endHistory(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != tc.want || errs.String() != tc.note {
			t.Errorf("%s: got %q and %q, want %q and %q", name, got, &errs, tc.want, tc.note)
		}
	}
}

// TestFilter_DropsUnorderedLines checks that lines of Nomad's files that newer lines displace use no memory.
func TestFilter_DropsUnorderedLines(t *testing.T) {
	const last = 10
	v := View{Printer: &Printer{Console: newConsole(io.Discard, io.Discard), Filter: Filter{Last: last}}}
	if err := v.startHistory(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	v.Printer.history.maxSize = 2 * last * (lineOverhead + 1)
	log := v.Printer.forTask(Task{}, "")
	for i := range 4 * last {
		err := log.print(backends.LogChunk{Unordered: i < 2*last, Stderr: i%2 == 1, Data: []byte("x\n")})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Printer.endHistory(); err != nil || v.Printer.isTruncated {
		t.Errorf("got %v, truncated %v", err, v.Printer.isTruncated)
	}
}

// TestFilter_ContextOfBothOutputs checks that the context of a match includes lines of the other output.
func TestFilter_ContextOfBothOutputs(t *testing.T) {
	var out, errs bytes.Buffer
	v := View{Printer: &Printer{
		Console: newConsole(&out, &errs), Filter: Filter{Pattern: regexp.MustCompile("^x"), Last: 2, After: 1},
	}}
	if err := v.startHistory(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	log := v.Printer.forTask(Task{}, "")
	for i, text := range []string{"x out", "x err", "next out", "x out", "other", "next err"} {
		if err := log.print(backends.LogChunk{Stderr: i%4 == 1, Data: []byte(text + "\n")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Printer.endHistory(); err != nil {
		t.Fatal(err)
	}
	if want := "x err\nnext out\nx out\nother\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestFilter_Until(t *testing.T) {
	task := newTask(0, backends.StateRunning)
	past := 0
	log := logOf(steps(at(1, "a"), at(2, "b"), at(3, "new"), at(2, "c"), at(5, "past"), func(
		_ context.Context, _ backends.LogQuery, _ func(backends.LogChunk) error,
	) error {
		past++
		return nil
	}))
	view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
	view.Printer.Filter.Until = time.Unix(2, 0)
	if err := view.Show(t.Context(), Newest); err != nil {
		t.Error(err)
	}
	out.check(t, "a\nb\nc\n", "")
	if past > 0 {
		t.Error("lines after --until were read")
	}
}

// TestFilter_LongLines checks that the parts of a long line are selected together.
func TestFilter_LongLines(t *testing.T) {
	var out bytes.Buffer
	log := (&Printer{
		Console: newConsole(&out, &out), Filter: Filter{Pattern: regexp.MustCompile("^m|end"), Before: 1},
	}).forTask(Task{}, "")
	long := strings.Repeat("x", maxLogLine)
	for _, text := range []string{"a" + long + "end\n", "b" + long + "\n", "m" + long + "tail\n"} {
		if err := log.print(backends.LogChunk{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "m" + long + "tail\n"; out.String() != want {
		t.Errorf("got %d bytes, starting with %.5q", out.Len(), out.String())
	}
}

// TestFilter_LongExcludedLine checks that no part of an excluded line is printed as context.
func TestFilter_LongExcludedLine(t *testing.T) {
	var out bytes.Buffer
	filter := Filter{Pattern: regexp.MustCompile("^m"), Exclude: regexp.MustCompile("^x"), Before: 1, After: 1}
	log := (&Printer{Console: newConsole(&out, &out), Filter: filter}).forTask(Task{}, "")
	long := strings.Repeat("x", maxLogLine) + "end\n"
	for _, text := range []string{"before\n", long, "m\n", long, "after\n"} {
		if err := log.print(backends.LogChunk{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "before\nm\nafter\n"; out.String() != want {
		t.Errorf("got %d bytes, starting with %.20q, want %q", out.Len(), out.String(), want)
	}
}

// TestFilter_BoundedMemory checks that neither context nor the last lines use more memory than they may.
func TestFilter_BoundedMemory(t *testing.T) {
	var out, errs bytes.Buffer
	v := View{Printer: &Printer{
		Console: newConsole(&out, &errs), Filter: Filter{Pattern: regexp.MustCompile("^y"), Last: 1 << 20, Before: 100},
	}}
	if err := v.startHistory(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	log := v.Printer.forTask(Task{}, "")
	for i := range 2000 {
		line := fmt.Sprintf("%c%d%s\n", "xy"[i/50%2], i, strings.Repeat("-", 8000))
		if err := log.print(backends.LogChunk{Data: []byte(line)}); err != nil {
			t.Fatal(err)
		}
		if got := v.Printer.history.size; got > maxHistory {
			t.Fatalf("the history has %d bytes", got)
		}
		if got := log.filter.before.size; got > maxContextBytes {
			t.Fatalf("the context has %d bytes", got)
		}
	}
	if err := v.Printer.endHistory(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(errs.String(), "nomadctld: only the newest lines are shown: ") || !v.Printer.isTruncated {
		t.Errorf("got %q", &errs)
	}
	if last := "\ny1999-"; !strings.Contains(out.String(), last) || out.Len() < maxHistory/2 {
		t.Errorf("got %d bytes", out.Len())
	}
}
