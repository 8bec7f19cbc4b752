package tasklog

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"nomadctld/backends"
	"nomadctld/internal/console"
)

// newConsole returns the console of a client without a terminal.
func newConsole(stdout, stderr io.Writer) *console.Console {
	return &console.Console{
		Stdout: stdout, Stderr: stderr, ByteOutput: console.ByteOutput{Stdout: stdout, Stderr: stderr},
	}
}

func TestPrinter_NotesGaps(t *testing.T) {
	for name, tc := range map[string]struct {
		prefix     string
		chunk      backends.LogChunk
		want       string
		incomplete bool
	}{
		"skipped": {
			"",
			backends.LogChunk{Skipped: 1},
			"start\nnomadctld: 1 line skipped here: this client reads too slowly\nnext\n", false,
		},
		"with prefix": {
			"web ",
			backends.LogChunk{Skipped: 2},
			"nomadctld: web 2 lines skipped here: this client reads too slowly\nweb next\n", false,
		},
		"lost": {
			"",
			backends.LogChunk{Lost: true},
			"start\nnomadctld: lines may be missing here: the log was rotated before they were read\nnext\n", true,
		},
		"lost, with prefix": {
			"web ",
			backends.LogChunk{Lost: true},
			"nomadctld: web lines may be missing here: the log was rotated before they were read\nweb next\n", true,
		},
	} {
		var out bytes.Buffer
		log := (&Printer{Console: newConsole(&out, &out)}).forTask(Task{}, tc.prefix)
		for _, c := range []backends.LogChunk{{Data: []byte("start")}, tc.chunk, {Data: []byte("next\n")}} {
			if err := log.print(c); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != tc.want || log.incomplete != tc.incomplete {
			t.Errorf("%s: got %q, incomplete %v, want %q, %v", name, &out, log.incomplete, tc.want, tc.incomplete)
		}
	}
}

// TestPrinter_BothOutputs checks that both outputs go to stdout in their order, and that --split separates them.
func TestPrinter_BothOutputs(t *testing.T) {
	chunks := []backends.LogChunk{
		{Data: []byte("out 1\n")},
		{Stderr: true, Data: []byte("err 1\n")},
		{Note: "a note\x1b"},
		{Data: []byte("prompt: ")},
		{Stderr: true, Data: []byte("err 2\n"), Unordered: true},
		{Data: []byte("out 2\n")},
	}
	for name, tc := range map[string]struct {
		printer        *Printer
		stdout, stderr string
	}{
		"plain": {&Printer{}, "out 1\nerr 1\nprompt: \nerr 2\nout 2\n", "nomadctld: a note\\x1b\n"},
		"split": {&Printer{Split: true}, "out 1\nprompt: out 2\n", "err 1\nnomadctld: a note\\x1b\nerr 2\n"},
		"by lines": {
			&Printer{Filter: Filter{Pattern: regexp.MustCompile("")}}, "out 1\nerr 1\nerr 2\nprompt: out 2\n",
			"nomadctld: a note\\x1b\n",
		},
	} {
		var out, errs bytes.Buffer
		tc.printer.Console = newConsole(&out, &errs)
		log := tc.printer.forTask(Task{}, "")
		for _, c := range chunks {
			if err := log.print(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.flush(); err != nil {
			t.Fatal(err)
		}
		if out.String() != tc.stdout || errs.String() != tc.stderr {
			t.Errorf("%s: got %q and %q, want %q and %q", name, out.String(), errs.String(), tc.stdout, tc.stderr)
		}
	}
}

func TestPrinter_Grep(t *testing.T) {
	var out bytes.Buffer
	printer := &Printer{Console: newConsole(&out, &out), Filter: Filter{Pattern: regexp.MustCompile("err.r$")}}
	log := printer.forTask(Task{}, "web | ")
	for _, text := range []string{"ok\nerr", "or\r\nerror 1\n", "an error"} {
		if err := log.print(backends.LogChunk{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.flush(); err != nil {
		t.Fatal(err)
	}
	if want := "web | error\r\nweb | an error\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

// TestPrinter_LongLine checks that a line that is longer than maxLogLine is printed in parts, each with the prefix.
func TestPrinter_LongLine(t *testing.T) {
	for prefix, want := range map[string]string{
		"":     strings.Repeat("x", maxLogLine) + "yz\nnext\n",
		"web ": "web " + strings.Repeat("x", maxLogLine) + "\nweb yz\nweb next\n",
	} {
		var out bytes.Buffer
		log := (&Printer{
			Console: newConsole(&out, &out), Filter: Filter{Pattern: regexp.MustCompile("")},
		}).forTask(Task{}, prefix)
		for _, text := range []string{strings.Repeat("x", maxLogLine) + "y", "z\nnext\n"} {
			if err := log.print(backends.LogChunk{Data: []byte(text)}); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != want {
			t.Errorf("%q: got %d bytes, ending in %q", prefix, out.Len(), out.String()[max(0, out.Len()-20):])
		}
	}
}

// TestPrinter_Terminal checks that control characters are visible, except colors. With NO_COLOR, colors are removed.
func TestPrinter_Terminal(t *testing.T) {
	const text = "a\x1b[31mred\x1b[0m\x1b[2Jb"
	for noColor, want := range map[bool]string{
		false: "a\x1b[31mred\x1b[0m\\x1b[2Jb",
		true:  "ared\\x1b[2Jb",
	} {
		var out bytes.Buffer
		c := newConsole(&out, &out)
		c.Terminal, c.NoColor = console.NewTerminal("xterm", 80, 24), noColor
		log := (&Printer{Console: c}).forTask(Task{}, "")
		if err := errors.Join(log.print(backends.LogChunk{Data: []byte(text)}), log.flush()); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), want) || !strings.HasSuffix(out.String(), "\n") {
			t.Errorf("no color %v: got %q, want %q", noColor, &out, want)
		}
	}
}

// TestPrinter_NotesOnTerminal checks that on a terminal notes are on stdout, between the lines, and break at words.
func TestPrinter_NotesOnTerminal(t *testing.T) {
	var out, errs bytes.Buffer
	c := newConsole(&out, &errs)
	c.Terminal = console.NewTerminal("xterm", 40, 24)
	log := (&Printer{Console: c}).forTask(Task{}, "")
	for _, chunk := range []backends.LogChunk{
		{Data: []byte("a\n")}, {Note: "lines before this one are from files"}, {Data: []byte("b\n")},
	} {
		if err := log.print(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if want := "a\nnomadctld: lines before this one are\nfrom files\nb\n"; out.String() != want || errs.Len() > 0 {
		t.Errorf("got %q and %q, want %q", &out, &errs, want)
	}
}
