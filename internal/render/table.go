// Package render formats the output of commands as tables, trees and JSON. All strings from a cluster must pass
// through it (or package escape) before they reach a terminal. It escapes text before it measures the width.
package render

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Style is how output is formatted. The zero value is for a pipe: nothing is cut or colored.
type Style struct {
	Width int // columns of the terminal; 0: unlimited
	Color bool
}

// Table is a header and rows of cells separated by "|", in the format of the original nomadctld. Users' scripts
// split it at that character, so it is for pipes: nothing is cut or colored. Terminals get Columns.
type Table struct{ rows [][]string }

// NewTable returns a table with one column for each header.
func NewTable(header ...string) *Table { return &Table{[][]string{header}} }

// Row adds a row of untrusted, unescaped cells. Missing cells are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.rows[0]))
	for i := range row {
		if i >= len(cells) {
			break
		}
		row[i] = escape.Text(cells[i])
		if i < len(row)-1 {
			row[i] = escapeCell(cells[i])
		}
	}
	t.rows = append(t.rows, row)
}

// escapeCell escapes untrusted text for a column that is followed by "|". A "|" in a name must not look like a
// separator.
func escapeCell(text string) string { return strings.ReplaceAll(escape.Text(text), "|", `\x7c`) }

// Write writes the header and the rows in a single write. Each column is as wide as its widest cell plus a space. The
// last column is not padded.
func (t *Table) Write(w io.Writer) error {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell)) + "|")
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
