package console

import (
	"bytes"
	"strings"
	"testing"

	"nomadctld/internal/render"
)

func TestStatusWriter_StdoutOnTerminal(t *testing.T) {
	var stdout, stderr bytes.Buffer
	c := &Console{Stdout: &stdout, Stderr: &stderr}
	if c.StatusWriter() != &stderr {
		t.Error("without a terminal: not stderr")
	}
	c.Terminal = NewTerminal("xterm", 80, 24)
	if c.StatusWriter() != &stdout {
		t.Error("on a terminal: not stdout")
	}
}

func TestStyle_FollowsTerminal(t *testing.T) {
	terminal := NewTerminal("xterm", 80, 24)
	for name, tc := range map[string]struct {
		console Console
		want    render.Style
	}{
		"no terminal": {Console{}, render.Style{}},
		"terminal":    {Console{Terminal: terminal}, render.Style{Width: 80, Color: true}},
		"NO_COLOR":    {Console{Terminal: terminal, NoColor: true}, render.Style{Width: 80}},
	} {
		if got := tc.console.Style(); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestMessage_WrapsOnTerminal(t *testing.T) {
	const text = "no job p-team1-\x1b[31m of yours (see: ps --all)"
	for width, want := range map[int]string{
		0:  `no job p-team1-\x1b[31m of yours (see: ps --all)`,
		30: "no job p-team1-\\x1b[31m of\nyours (see: ps --all)",
	} {
		c := &Console{Terminal: NewTerminal("xterm", width, 24)}
		if got := c.Message(text); got != want {
			t.Errorf("%d columns: got %q, want %q", width, got, want)
		}
	}
	if got := new(Console).Message(text); strings.Contains(got, "\n") {
		t.Errorf("in a pipe: got %q, want one line", got)
	}
}
