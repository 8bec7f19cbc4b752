package docker

import (
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

// TestLineSkipper checks which lines of two outputs are counted and skipped, in the order in which they start.
func TestLineSkipper(t *testing.T) {
	const o, e = false, true
	type chunk struct {
		stderr bool
		text   string
	}
	for name, tc := range map[string]struct {
		chunks []chunk
		last   int
		want   string
	}{
		"both":          {[]chunk{{o, "a\n"}, {e, "b\n"}, {o, "c\n"}}, 2, "b\nc\n"},
		"in one chunk":  {[]chunk{{o, "a\nb\nc\n"}, {e, "d\n"}}, 2, "c\nd\n"},
		"of parts":      {[]chunk{{o, "a"}, {e, "b\n"}, {o, "a\n"}, {e, "c\nd"}, {o, "e\n"}, {e, "d\n"}}, 3, "c\nde\nd\n"},
		"skips parts":   {[]chunk{{o, "a"}, {e, "b"}, {o, "a\n"}, {e, "b\nc"}, {e, "c\n"}}, 1, "cc\n"},
		"incomplete":    {[]chunk{{o, "a\n"}, {e, "b"}, {o, "c"}}, 2, "bc"},
		"empty chunk":   {[]chunk{{o, "a"}, {o, ""}, {o, "a\n"}, {e, "b\n"}}, 1, "b\n"},
		"more than all": {[]chunk{{o, "a\n"}, {e, "b\n"}}, 3, "a\nb\n"},
	} {
		var window tailWindow
		for _, c := range tc.chunks {
			window.add(backends.LogChunk{Stderr: c.stderr, Data: []byte(c.text)}, backends.LogQuery{Stdout: true, Stderr: true})
		}
		skipper := lineSkipper{lines: max(0, window.lines-tc.last)}
		var got strings.Builder
		for _, c := range tc.chunks {
			got.Write(skipper.rest(backends.LogChunk{Stderr: c.stderr, Data: []byte(c.text)}))
		}
		if got.String() != tc.want {
			t.Errorf("%s: got %q, want %q", name, &got, tc.want)
		}
	}
}

// TestTailWindow_MayCut checks which windows may start in the middle of a line that is not skipped. All parts of a line
// have the same time.
func TestTailWindow_MayCut(t *testing.T) {
	type chunk struct {
		stderr bool
		second int64
		text   string
	}
	for name, tc := range map[string]struct {
		chunks []chunk
		last   int
		want   bool
	}{
		"newer line":       {[]chunk{{false, 1, "a\n"}, {false, 2, "b\n"}, {true, 3, "c\n"}}, 2, false},
		"end of a line":    {[]chunk{{false, 2, "a\n"}, {false, 3, "b\n"}, {true, 1, "c\n"}}, 2, true},
		"skipped":          {[]chunk{{true, 1, "c\n"}, {false, 2, "a\n"}, {false, 3, "b\n"}}, 2, false},
		"starts in window": {[]chunk{{true, 1, "c\n"}, {false, 2, "a\n"}, {true, 3, "b\n"}}, 3, true},
	} {
		var window tailWindow
		for _, c := range tc.chunks {
			window.add(backends.LogChunk{Stderr: c.stderr, Time: time.Unix(c.second, 0), Data: []byte(c.text)},
				backends.LogQuery{Stdout: true, Stderr: true})
		}
		if got := window.mayCut(window.lines - tc.last); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}
