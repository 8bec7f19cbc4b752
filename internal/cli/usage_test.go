package cli

import (
	"testing"

	"nomadctld/internal/testenv"
)

func TestUsage_ExamplesAreAccepted(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, words := range testenv.UsageExamples(t, usage) {
		if words[0] != "nomadctld" {
			t.Errorf("%q is an example of another program", words)
			continue
		}
		if len(words) == 2 && words[1] == "demo" { // it serves until it gets a signal
			continue
		}
		if code := Main(words[1:]); code == 2 {
			t.Errorf("%q: the command line is wrong", words)
		}
	}
	if code := Main([]string{"-nosuch"}); code != 2 {
		t.Errorf("a wrong command line: got %d, want 2", code)
	}
}
