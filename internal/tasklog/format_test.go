package tasklog

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
)

func TestHighlight(t *testing.T) {
	for name, tc := range map[string]struct{ pattern, text, want string }{
		"none":          {"x", "abc", "abc"},
		"matches":       {"b+", "abbcb", "a<bb>c<b>"},
		"empty matches": {"x*", "abx", "ab<x>"},
		"whole line":    {".*", "abc", "<abc>"},
		"colors":        {"3|red", "a\x1b[31mred\x1b[0m3", "a\x1b[31m<red>\x1b[0m<3>"},
		"across colors": {"ab", "a\x1b[1mb\x1b[0m", "<a\x1b[1m<b>\x1b[0m"},
	} {
		got := highlight(tc.text, regexp.MustCompile(tc.pattern))
		got = strings.NewReplacer(startHighlight, "<", stopHighlight, ">").Replace(got)
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestPrinter_Highlight checks that lines are escaped before they are marked, and that without colors they are not
// marked.
func TestPrinter_Highlight(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal *console.Terminal
		noColor  bool
		want     string
	}{
		"terminal": {
			console.NewTerminal("xterm", 80, 24), false, `a\x1b[` + startHighlight + "2J" + stopHighlight + "b\n",
		},
		"no color":      {console.NewTerminal("xterm", 80, 24), true, `a\x1b[2Jb` + "\n"},
		"dumb terminal": {console.NewTerminal("dumb", 80, 24), false, `a\x1b[2Jb` + "\n"},
		"pipe":          {nil, false, "a\x1b[2Jb\n"},
	} {
		var out bytes.Buffer
		c := newConsole(&out, &out)
		c.Terminal, c.NoColor = tc.terminal, tc.noColor
		log := (&Printer{Console: c, Highlight: regexp.MustCompile("2J")}).forTask(Task{}, "")
		if err := log.print(backends.LogChunk{Data: []byte("a\x1b[2Jb\n")}); err != nil || out.String() != tc.want {
			t.Errorf("%s: got %q, %v, want %q", name, &out, err, tc.want)
		}
	}
}

func TestPrinter_JSON(t *testing.T) {
	var out, errs bytes.Buffer
	task := newTask(0, backends.StateRunning)
	log := (&Printer{Console: newConsole(&out, &errs), JSON: true}).forTask(task, "")
	err := errors.Join(
		log.print(backends.LogChunk{Time: time.Unix(1, 5).In(time.FixedZone("", 3600)), Data: []byte("a\x1b\"\xff\n")}),
		log.print(backends.LogChunk{Stderr: true, Data: []byte("half")}),
		log.print(backends.LogChunk{Data: []byte(strings.Repeat("x", maxLogLine) + "y\n")}),
		log.flush(),
	)
	if err != nil {
		t.Fatal(err)
	}
	const about = `"job":"web","allocation":"01111111","name":"web[0]","task":"nginx",`
	want := `{"time":"1970-01-01T00:00:01.000000005Z",` + about + `"stream":"stdout","text":"a\u001b\"\ufffd","partial":false}
{"time":null,` + about + `"stream":"stdout","text":"` + strings.Repeat("x", maxLogLine) + `","partial":true}
{"time":null,` + about + `"stream":"stdout","text":"y","partial":false}
{"time":null,` + about + `"stream":"stderr","text":"half","partial":false}
`
	if out.String() != want || errs.Len() > 0 {
		t.Errorf("got\n%s\nand %q, want\n%s", &out, &errs, want)
	}
}
