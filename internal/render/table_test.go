package render

import (
	"bytes"
	"strings"
	"testing"
)

func TestTable_OriginalFormat(t *testing.T) {
	table := NewTable("Exec ID", "Job/Task", "Extra")
	table.Row("", "q-lnx-mattermost OK")
	table.Row("f429aef310", "q-lnx-mattermost", "U,T")
	var got bytes.Buffer
	table.Write(&got)
	want := "Exec ID    |Job/Task            |Extra\n" +
		"           |q-lnx-mattermost OK |\n" +
		"f429aef310 |q-lnx-mattermost    |U,T\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestTable_UntrustedText(t *testing.T) {
	table := NewTable("A", "B")
	for _, cell := range []string{"日本語", "x\x1b[2Jy", "\xff", "two\nlines", "a|b"} {
		table.Row(cell, "end")
	}
	var got bytes.Buffer
	table.Write(&got)
	lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
	if strings.Count(got.String(), "|") != 6 || len(lines) != 6 {
		t.Fatalf("got %d lines, want 6 of two columns:\n%s", len(lines), got.String())
	}
	if strings.Contains(got.String(), "\x1b") || strings.Contains(got.String(), "\xff") {
		t.Errorf("an escape sequence came through: %q", got.String())
	}
}

func TestTable_Pipe(t *testing.T) {
	table := NewTable("A", "B")
	long := strings.Repeat("x", 10000)
	table.Row(long, long)
	var got bytes.Buffer
	table.Write(&got)
	if strings.Count(got.String(), "x") != 20000 {
		t.Error("a cell was cut")
	}
}
