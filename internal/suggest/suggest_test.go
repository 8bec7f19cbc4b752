package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"p-team1-web1", "p-team1-web2", "p-team1-six", "stop", strings.Repeat("x", 100)}
	for word, want := range map[string]string{
		"p-team1-web3": "p-team1-web1 p-team1-web2", "p-taem1-web1": "p-team1-web1", "p-team1-nu": "",
		"p-team10-secret": "", "p-team1-wbe3": "p-team1-web1 p-team1-web2", "p-tm1-wb": "", "scp": "stop", "spot": "stop",
		"sp": "", strings.Repeat("x", 98): strings.Repeat("x", 100), strings.Repeat("x", 97): "",
		strings.Repeat("x", 200): "",
	} {
		if got := strings.Join(Nearest(word, names), " "); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"ps", "pstree", "production", "quality", "logs", strings.Repeat("x", 200)}
	for word, want := range map[string]string{
		"sp": "ps", "pss": "ps", "PS": "ps", "pstre": "pstree", "lgos": "logs", "productoin": "production",
		"qualitiy": "quality",
		"p":        "", "x": "", "": "", "zzz": "", "attach": "", strings.Repeat("x", 199): "",
	} {
		if got := Closest(word, names); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}
