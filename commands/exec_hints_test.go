package commands

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/console"
	"nomadctld/router"
)

// slowReader returns EOF after a delay.
type slowReader time.Duration

func (s slowReader) Read([]byte) (int, error) {
	time.Sleep(time.Duration(s))
	return 0, nil
}

func TestNoticeSilence(t *testing.T) {
	for _, tc := range []struct {
		before, read time.Duration // before the first read, and until it returns
		want         int32
	}{
		{0, 999 * time.Millisecond, 0},
		{0, 1001 * time.Millisecond, 1},
		{time.Minute, time.Millisecond, 0}, // the program starts late
		{0, time.Minute, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var notices atomic.Int32
			r, stop := noticeSilence(slowReader(tc.read), time.Second, func() { notices.Add(1) })
			time.Sleep(tc.before)
			r.Read(nil)
			r.Read(nil) // only the first read counts
			stop()
			if got := notices.Load(); got != tc.want {
				t.Errorf("%v: got %d notices, want %d", tc, got, tc.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r, stop := noticeSilence(slowReader(time.Hour), time.Second, func() { t.Error("got a notice after stop") })
		go r.Read(nil)
		synctest.Wait()
		stop()
		time.Sleep(2 * time.Hour)
	})
}

func TestLooksLikeShellLine(t *testing.T) {
	for word, want := range map[string]bool{
		"ls | wc -l": true, "ls|wc": true, "A=1": true, "cd": true, "ls": false, "/bin/my-tool": false, "php8.2": false,
		"echo hello": true,
	} {
		if got := looksLikeShellLine([]string{word}); got != want {
			t.Errorf("%s: got %t, want %t", word, got, want)
		}
	}
	if looksLikeShellLine(nil) {
		t.Error("nothing looks like a shell line")
	}
}

func TestSuggestShell(t *testing.T) {
	for _, tc := range []struct {
		line string // after exec ID
		code int
		want string
	}{
		{"ls | wc -l", 0, "note: ls got | as an argument; to run a shell command: exec ID -c 'ls | wc -l'\n"},
		{"ls && id", 1, "note: ls got && as an argument; to run a shell command: exec ID -c 'ls && id'\n"},
		{`echo 'a' || id`, 0, `note: echo got || as an argument; to run a shell command: exec ID -c "echo 'a' || id"` + "\n"},
		{"ls '|' wc", 1, ""},
		{`ls \| wc`, 1, ""},
		{"-c 'ls | wc'", 1, ""},
		{"-- ls | wc", 1, ""},
		{"find / -exec ls {} ;", 1, ""},
		{"expr 3 > 2", 0, ""},
		{"ls > out", 2, "note: ls got > as an argument; to run a shell command: exec ID -c 'ls > out'\n"},
		{"ls /x 2>/dev/null", 2, "note: ls got 2>/dev/null as an argument; to run a shell command: " +
			"exec ID -c 'ls /x 2>/dev/null'\n"},
		{"", 1, ""},
	} {
		line := strings.TrimSpace("exec ID " + tc.line)
		words := strings.Fields(line)[2:] // enough for the number of words in these lines
		var stderr strings.Builder
		req := &router.Request{
			Expanded: line, Args: append([]string{"ID"}, words...), Console: &console.Console{Stderr: &stderr},
		}
		if strings.HasPrefix(tc.line, "-c") {
			words = []string{"-c", "ls | wc"}
		}
		suggestShell(req, words, tc.code)
		if got := stderr.String(); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.line, got, tc.want)
		}
	}
}
