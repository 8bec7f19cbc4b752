package suggest

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	names := []string{"ps", "pstree", "production", "quality", "logs", strings.Repeat("x", 100)}
	for word, want := range map[string]string{
		"sp": "ps", "pss": "ps", "PS": "ps", "pstre": "pstree", "lgos": "logs", "productoin": "production",
		"qualitiy": "quality",
		"p":        "", "x": "", "": "", "zzz": "", "attach": "", strings.Repeat("x", 99): "",
	} {
		if got := Closest(word, names); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}
