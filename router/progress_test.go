package router

import (
	"bytes"
	"testing"
	"time"
)

func TestProgressIsShownLateAndTakenAway(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal *Terminal
		wait     time.Duration
		want     string
	}{
		"quick":       {&Terminal{}, 0, ""},
		"slow":        {&Terminal{}, 1100 * time.Millisecond, "waiting...\r\x1b[K"},
		"no terminal": {nil, 1100 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var screen, other bytes.Buffer
			done := (&Request{Stdout: &screen, Stderr: &other, Terminal: tc.terminal}).Progress("waiting")
			time.Sleep(tc.wait)
			done()
			if screen.String() != tc.want || other.Len() > 0 {
				t.Errorf("got %q, and %q on stderr, want %q", screen.String(), other.String(), tc.want)
			}
		})
	}
}
