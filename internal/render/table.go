// Package render lays out what commands show: tables and JSON. It is the only place where strings of a cluster
// become terminal text, and it escapes them before it measures them.
package render

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Table is a header and rows of cells, written with a column separator of "|" as the original nomadctld's
// tables, which people's scripts cut apart.
type Table struct {
	header []string
	rows   [][]string
}

// NewTable returns a table with one column for each header.
func NewTable(header ...string) *Table { return &Table{header: header} }

// Row adds a line. Cells are foreign text as it came; missing ones are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.header))
	for i := range row {
		if i >= len(cells) {
			break
		}
		row[i] = escape.Text(cells[i])
		if i < len(row)-1 { // a name must not pass for two columns
			row[i] = strings.ReplaceAll(row[i], "|", `\x7c`)
		}
	}
	t.rows = append(t.rows, row)
}

// WriteTo writes the header and the rows in one write. Each column is as wide as its widest cell and a space;
// the last one is not padded.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	widths := make([]int, len(t.header))
	lines := append([][]string{t.header}, t.rows...)
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell)))
				b.WriteByte('|')
			}
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
