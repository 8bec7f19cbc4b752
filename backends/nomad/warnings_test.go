package nomad

import (
	"slices"
	"testing"
)

func TestSplitWarnings(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"1 warning:\n\n* one": {"one"},
		"2 warnings:\n\n* group \"web\" defines services\n* 2 errors occurred:\n\t* a\n\t* b": {
			`group "web" defines services`, "2 errors occurred: * a * b",
		},
		"not a list":      {"not a list"},
		"first\nsecond\n": {"first second"},
	} {
		if got := splitWarnings(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
