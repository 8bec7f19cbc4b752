package console

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestActivity_ShownAfterDelay(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal *Terminal
		wait     time.Duration
		want     string
	}{
		"quick":       {NewTerminal("xterm", 80, 24), 0, ""},
		"slow":        {NewTerminal("xterm", 80, 24), 1100 * time.Millisecond, "waiting...\r\x1b[K"},
		"no terminal": {nil, 1100 * time.Millisecond, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var screen, other bytes.Buffer
			done := (&Console{Stdout: &screen, Stderr: &other, Terminal: tc.terminal}).ShowActivity("waiting")
			time.Sleep(tc.wait)
			done()
			if screen.String() != tc.want || other.Len() > 0 {
				t.Errorf("%s: got %q, and %q on stderr, want %q", name, screen.String(), other.String(), tc.want)
			}
		})
	}
}
