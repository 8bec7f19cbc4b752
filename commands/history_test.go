package commands

import (
	"testing"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

func TestHistory_WrapsAtWords(t *testing.T) {
	versions := []backends.Version{{Number: 1, Changes: []backends.Change{
		{Path: "web > task nginx > Config > image", Old: "nginx:1.28", New: "nginx:1.29\x1b"},
		{Path: "web > Count", New: "3"},
	}}}
	const head = "version 1, 0001-01-01T00:00:00Z\n"
	for width, want := range map[int]string{
		0:  "  ~ web > task nginx > Config > image: nginx:1.28 -> nginx:1.29\\x1b\n  + web > Count: 3\n",
		40: "  ~ web > task nginx > Config > image:\n    nginx:1.28 -> nginx:1.29\\x1b\n  + web > Count: 3\n",
	} {
		if got := historyText(versions, render.Style{Width: width}); got != head+want {
			t.Errorf("%d columns: got\n%swant\n%s", width, got, head+want)
		}
	}
}
