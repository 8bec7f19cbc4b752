package testenv

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/shlex"
)

// UsageExamples returns the words of each line below "Examples:", without the comment. The test fails if a line of the
// usage is wider than a screen.
func UsageExamples(t testing.TB, usage string) (examples [][]string) {
	t.Helper()
	for line := range strings.Lines(usage) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns, want at most 80: %q", n, line)
		}
	}
	_, section, _ := strings.Cut(usage, "\nExamples:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for line := range strings.Lines(section) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  ") // the comment
		words, err := shlex.Split(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		examples = append(examples, words)
	}
	if len(examples) == 0 {
		t.Fatal("found no examples")
	}
	return examples
}
