package console

import "testing"

func TestCutColored(t *testing.T) {
	const red, reset = "\x1b[31m", "\x1b[0m"
	for _, tc := range []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"too long", 5, "too …"},
		{"unlimited", 0, "unlimited"},
		{"a " + red + "failed" + reset + " b", 10, "a " + red + "failed" + reset + " b"},
		{"a " + red + "failed" + reset + " bcd", 5, "a " + red + "fa…" + reset},
		{red + "ab" + reset + "cdef", 4, red + "ab" + reset + "c…" + reset},
		{"日本" + red + "語" + reset, 5, "日本" + red + "…" + reset},
	} {
		if got := cutColored(tc.line, tc.width); got != tc.want {
			t.Errorf("%q to %d columns: got %q, want %q", tc.line, tc.width, got, tc.want)
		}
	}
}
