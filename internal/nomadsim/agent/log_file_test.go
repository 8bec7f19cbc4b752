package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLogFile_RotatesBetweenLines(t *testing.T) {
	l := &logFile{base: filepath.Join(t.TempDir(), "t.stdout"), max: 20, files: 3}
	for i := range 10 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	io.WriteString(l, strings.Repeat("x", 30))
	var got []string
	for i := range 8 {
		if text, err := os.ReadFile(fmt.Sprintf("%s.%d", l.base, i)); err == nil {
			got = append(got, fmt.Sprintf("%d %q", i, text))
		}
	}
	want := []string{`4 "line 8\nline 9\n"`, `5 "` + strings.Repeat("x", 20) + `"`, `6 "` + strings.Repeat("x", 10) + `"`}
	if !slices.Equal(got, want) {
		t.Errorf("files: got %q, want %q", got, want)
	}
}
