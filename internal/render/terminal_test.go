package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func sampleTable() *Table {
	table := NewTable("Exec ID", "Job/Task", "Node", "Uptime", "Extra").DropWhenNarrow(2, 3)
	table.Row("", "p-team1-web OK")
	table.Row("f429aef310", "a-task-with-a-long-name", "node-10.example.org", "3 weeks ago", "U,T")
	return table
}

func TestTable_DropWhenNarrow(t *testing.T) {
	for _, width := range []int{200, 80, 60, 50, 40, 30, 20, 5, 1} {
		var got bytes.Buffer
		sampleTable().Write(&got, Style{Width: width})
		for _, line := range strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n") {
			if w := runewidth.StringWidth(line); w > max(width, 26) {
				t.Errorf("width %d: a line of %d columns: %q", width, w, line)
			}
		}
		if !strings.Contains(got.String(), "f429aef310") {
			t.Errorf("width %d: the exec ID was dropped:\n%s", width, got.String())
		}
		if width == 50 && !strings.Contains(got.String(), "a-task-with-a-long-name") {
			t.Errorf("width %d: the task was dropped before node and uptime:\n%s", width, got.String())
		}
	}
}

func TestTable_LongLastCell(t *testing.T) {
	table := sampleTable()
	table.Row("", "p-team1-batch", "", "", strings.Repeat("not placed ", 20))
	var got bytes.Buffer
	table.Write(&got, Style{Width: 110})
	if !strings.Contains(got.String(), "3 weeks ago") || !strings.Contains(got.String(), "node-10.example.org") ||
		!strings.Contains(got.String(), "…") {
		t.Errorf("got\n%s", got.String())
	}
}

func TestTable_Pipe(t *testing.T) {
	table := NewTable("A", "B").DropWhenNarrow(0, 1)
	long := strings.Repeat("x", 10000)
	table.Row(long, long)
	var got bytes.Buffer
	table.Write(&got, Style{})
	if strings.Count(got.String(), "x") != 20000 || strings.Contains(got.String(), "…") {
		t.Error("a cell was cut")
	}
}

func TestTable_Colors(t *testing.T) {
	table := sampleTable().ColorCells(func(column int, _ string) Color {
		if column == 1 {
			return Good
		}
		return ""
	})
	var plain, colored bytes.Buffer
	table.Write(&plain, Style{Width: 80})
	table.Write(&colored, Style{Width: 80, Color: true})
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("colors without a terminal: %q", plain.String())
	}
	if !strings.Contains(colored.String(), string(Good)+"p-team1-web OK\x1b[0m") {
		t.Errorf("got %q", colored.String())
	}
	bare := strings.NewReplacer(string(Good), "", "\x1b[0m", "").Replace(colored.String())
	if bare != plain.String() {
		t.Errorf("got\n%swant\n%s", bare, plain.String())
	}
}

func TestTree_TerminalWidth(t *testing.T) {
	root := &Tree{Text: "."}
	root.Add("a\x1b").Add(strings.Repeat("日", 100))
	root.Add("b")
	var got bytes.Buffer
	root.Write(&got, Style{Width: 20})
	want := ".\n├── a\\x1b\n│   └── 日日日日日…\n└── b\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestColumns_StateColors(t *testing.T) {
	var b strings.Builder
	Columns(&b, [][]string{{"ID", "Status", "Age"}, {"a", "failed", "1h"}}, Style{Color: true})
	if want := "ID  Status  Age\na   " + string(Bad) + "failed\x1b[0m  1h\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
