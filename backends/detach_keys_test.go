package backends

import "testing"

func TestParseDetachKeys(t *testing.T) {
	for notation, want := range map[string]string{
		"": "", "x": "x", "ctrl-p,ctrl-q": "\x10\x11",
		"a,ctrl-@,ctrl-[,ctrl-_": "a\x00\x1b\x1f", "ctrl-A": "\x01",
	} {
		if got := string(ParseDetachKeys(notation)); got != want {
			t.Errorf("%s: got %q, want %q", notation, got, want)
		}
	}
}
