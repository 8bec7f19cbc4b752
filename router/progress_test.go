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
			var stderr bytes.Buffer
			done := (&Request{Stderr: &stderr, Terminal: tc.terminal}).Progress("waiting")
			time.Sleep(tc.wait)
			done()
			if stderr.String() != tc.want {
				t.Errorf("got %q, want %q", stderr.String(), tc.want)
			}
		})
	}
}
