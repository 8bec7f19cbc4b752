package commands

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

var updateScreens = flag.Bool("update-screens", false, "write the screens in testdata")

// compareScreen compares the output of a command on a terminal of that width, or in a pipe if it is 0, with a file in
// testdata.
func compareScreen(t *testing.T, file, got string, width int) {
	t.Helper()
	for line := range strings.Lines(got) {
		if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); width > 0 && w > width {
			t.Errorf("%s: a line of %d columns: %q", file, w, line)
		}
	}
	file = filepath.Join("testdata", file)
	if *updateScreens {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v, got\n%swant\n%s", file, err, got, want)
	}
}
