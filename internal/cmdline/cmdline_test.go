package cmdline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []string
	}{
		{"ps", []string{"ps"}},
		{"  ps\t web \n", []string{"ps", "web"}},
		{"exec ID sh -c 'a \"b  c\"'", []string{"exec", "ID", "sh", "-c", `a "b  c"`}},
		{`ps a\ b`, []string{"ps", "a b"}},
		{`ps ""`, []string{"ps", ""}},
		{"ps #web --json", []string{"ps", "#web", "--json"}},
		{"# ps", []string{"#", "ps"}},
		{"ps a#b '#c' \"#d\" \\#e", []string{"ps", "a#b", "#c", "#d", "#e"}},
		{"ps 'a'#b", []string{"ps", "a#b"}},
		{"ps ümlaut 日本", []string{"ps", "ümlaut", "日本"}},
		{"", nil},
		{" \t", nil},
	} {
		got, err := Split(tc.line)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("Split(%q) = %q, %v, want %q", tc.line, got, err, tc.want)
		}
	}
}

func TestSplit_Refused(t *testing.T) {
	for line, want := range map[string]string{
		"ps 'a":                          "inside quotes",
		`ps "a`:                          "inside quotes",
		`ps \`:                           "backslash",
		"ps \xff":                        "UTF-8",
		"ps a\x00b":                      "NUL",
		strings.Repeat("a", maxLine+1):   "too long",
		strings.Repeat("a ", MaxWords+1): "too many words: 10001, the limit is 10000",
	} {
		if got, err := Split(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Split(%.20q) = %q, %v, want an error with %q", line, got, err, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"ps web", "a 'b c' \"d\\\"e\" f\\ g", "# x", "a\\", "'#'#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, err := Split(line)
		if err != nil {
			if got != nil {
				t.Errorf("words %q and the error %v", got, err)
			}
			return
		}
		if strings.Contains(line, "#") {
			// Nothing may be lost: replacing # by another letter must change nothing else.
			other, err := Split(strings.ReplaceAll(line, "#", "X"))
			for i := range other {
				if err != nil || i >= len(got) || strings.ReplaceAll(got[i], "#", "X") != other[i] {
					t.Fatalf("Split(%q) = %q, with X for #: %q, %v", line, got, other, err)
				}
			}
			return
		}
		want, err := shlex.Split(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Split(%q) = %q, shlex says %q, %v", line, got, want, err)
		}
	})
}
