package render

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func columns(width int, rows ...string) string {
	var cells [][]string
	for _, row := range rows {
		cells = append(cells, strings.Split(row, "|"))
	}
	var b strings.Builder
	Columns(&b, cells, Style{Width: width})
	return b.String()
}

func TestColumns_Narrow(t *testing.T) {
	for name, tc := range map[string]struct {
		width int
		rows  []string
		want  string
	}{
		"pipe": {
			0,
			[]string{"ID|Task Group", "a|" + strings.Repeat("x", 90)},
			"ID  Task Group\na   " + strings.Repeat("x", 90) + "\n",
		},
		"fits": {14, []string{"ID|Task Group", "a|web"}, "ID  Task Group\na   web\n"},
		"headings wrap": {
			24,
			[]string{"Task Group|Auto Revert|Healthy", "web|true|1"},
			"Task   Auto\nGroup  Revert  Healthy\nweb    true    1\n",
		},
		"only the headings wrap that must": {
			30,
			[]string{"Task Group|Auto Revert|Healthy", "web|true|1"},
			"            Auto\nTask Group  Revert  Healthy\nweb         true    1\n",
		},
		"last column wraps": {
			32,
			[]string{"ID|State|Description", "a|failed|the deployment has failed", "b|ok|yes"},
			"ID  State   Description\na   failed  the deployment has\n            failed\nb   ok      yes\n",
		},
		"long cells are shortened": {
			40,
			[]string{"ID|Node|Desired|State", "a|a-node-with-a-long-name.example.org|run|running"},
			"ID  Node                Desired  State\na   a-node-with-…e.org  run      running\n",
		},
		"other columns below": {
			19,
			[]string{"ID|Desired|Placed|Healthy", "a|1|2|3", "b|4|5|6"},
			"ID  Desired  Placed\na   1        2\nb   4        5\nID  Healthy\na   3\nb   6\n",
		},
		"untrusted": {30, []string{"A|B", "x\x1b[2J|y\n"}, "A         B\nx\\x1b[2J  y\\n\n"},
	} {
		if got := columns(tc.width, tc.rows...); got != tc.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, tc.want)
		}
	}
}

func TestColumns_NeverTooWide(t *testing.T) {
	rows := []string{
		"ID|Version|Status|Task Group|Progress Deadline|Node|Description",
		"8e2c9a10|12|running|a-long-group-name-日本語|2026-12-01T04:12:27Z|a-node.example.org|requires manual promotion",
		"0123abcd|3|successful|web|N/A|n1|" + strings.Repeat("x", 70),
	}
	for width := 20; width <= 160; width++ {
		got := columns(width, rows...)
		for _, line := range strings.Split(got, "\n") {
			if runewidth.StringWidth(line) > width {
				t.Fatalf("%d columns: too wide:\n%s", width, got)
			}
		}
		for _, cell := range []string{"8e2c9a10", "successful", "N/A", "n1"} {
			if !strings.Contains(got, cell) {
				t.Fatalf("%d columns: %s is missing:\n%s", width, cell, got)
			}
		}
	}
}

func TestShorten(t *testing.T) {
	for width, want := range map[int]string{
		0: "abcdefghij", 10: "abcdefghij", 9: "abcdef…ij", 4: "ab…j", 2: "a…", 1: "…",
	} {
		if got := Shorten("abcdefghij", width); got != want {
			t.Errorf("%d columns: got %q, want %q", width, got, want)
		}
	}
	if got := Shorten("日本語日本語", 6); got != "日本…" {
		t.Errorf("got %q", got)
	}
}

func TestColumns_StateColors(t *testing.T) {
	var b strings.Builder
	Columns(&b, [][]string{{"ID", "Status", "Age"}, {"a", "failed", "1h"}}, Style{Color: true})
	if want := "ID  Status  Age\na   " + string(Bad) + "failed\x1b[0m  1h\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
