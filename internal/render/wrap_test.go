package render

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}},
		{"one two", 0, []string{"one two"}},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"one  two", 4, []string{"one", "two"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"abcdefgh ij", 5, []string{"abcde", "fgh", "ij"}},
		{"a bcdefgh", 4, []string{"a", "bcde", "fgh"}},
		{"日本語", 4, []string{"日本", "語"}},
		{"日本", 1, []string{"日", "本"}},
		{"a   ", 2, []string{"a"}},
		{"  first", 6, []string{"first"}},
	} {
		if got := Wrap(tc.text, tc.width); !slices.Equal(got, tc.want) {
			t.Errorf("%q in %d columns: got %q, want %q", tc.text, tc.width, got, tc.want)
		}
	}
}

// TestWrap_LongText takes minutes if Wrap measures the rest of the text for each line.
func TestWrap_LongText(t *testing.T) {
	if got := len(Wrap(strings.Repeat("word ", 400000), 80)); got != 25000 {
		t.Errorf("got %d lines, want 25000", got)
	}
}

func TestIndented(t *testing.T) {
	if got := Indented("one two three four", 3, 13); got != "one two\n   three four" {
		t.Errorf("got %q", got)
	}
	if got := Indented(strings.Repeat("x ", 40), 5, 3); !strings.HasPrefix(got, "x x x x x\n     x") {
		t.Errorf("on a narrow terminal: got %q", got)
	}
	if got := Indented("one two", 3, 0); got != "one two" {
		t.Errorf("in a pipe: got %q", got)
	}
}
