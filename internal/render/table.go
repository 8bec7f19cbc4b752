// Package render formats the output of commands as tables, trees and JSON. All strings from a cluster must pass
// through it (or package escape) before they reach a terminal. It escapes text before it measures the width.
package render

import (
	"io"
	"slices"
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
// split it at that character.
type Table struct {
	header    []string
	rows      [][]string
	dropOrder []int
	cellColor func(column int, text string) Color
}

// NewTable returns a table with one column for each header.
func NewTable(header ...string) *Table { return &Table{header: header} }

// DropWhenNarrow sets the columns to leave out on a narrow terminal, the least important first.
func (t *Table) DropWhenNarrow(columns ...int) *Table {
	t.dropOrder = columns
	return t
}

// ColorCells sets the function that chooses the color of a cell.
func (t *Table) ColorCells(color func(column int, text string) Color) *Table {
	t.cellColor = color
	return t
}

// Row adds a row of untrusted, unescaped cells. Missing cells are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.header))
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

// Write writes the header and the rows in a single write. Each column is as wide as its widest cell plus a space, on a
// terminal as far as fit permits. The last column is not padded.
func (t *Table) Write(w io.Writer, style Style) error {
	lines := append([][]string{t.header}, t.rows...)
	widths := make([]int, len(t.header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	if style.Width > 0 {
		t.fit(widths, style.Width)
	}
	last := len(widths) - 1
	for widths[last] == dropped {
		last--
	}
	var b strings.Builder
	for n, line := range lines {
		for i, cell := range line {
			if widths[i] == dropped {
				continue
			}
			cell = runewidth.Truncate(cell, max(widths[i], 0), "…")
			if style.Color && t.cellColor != nil && n > 0 {
				b.WriteString(t.cellColor(i, line[i]).wrap(cell))
			} else {
				b.WriteString(cell)
			}
			if i < last {
				b.WriteString(strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell)))
				b.WriteByte('|')
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	dropped                = -1 // width of a dropped column
	minCellWidth           = 6  // of a shortened cell
	minWidthBeforeDrop     = 24 // of a shortened cell while columns can still be dropped
	minLastWidthBeforeDrop = 18 // the same for the last column, which has long texts
)

// fit reduces the widths so that a row fits into width columns, as far as possible. It first shortens long cells a
// little. If that is not enough, it drops columns one by one, and finally shortens the remaining cells further.
func (t *Table) fit(widths []int, width int) {
	natural := slices.Clone(widths)
	tooWide := func() int {
		line := -2 // the last column has neither space nor separator
		for _, w := range widths {
			if w != dropped {
				line += w + 2
			}
		}
		return line - width
	}
	shorten := func(column, minWidth int) {
		if over := tooWide(); over > 0 && widths[column] > minWidth {
			widths[column] = max(widths[column]-over, minWidth)
		}
	}
	last := len(widths) - 1
	for drops := range len(t.dropOrder) + 1 {
		copy(widths, natural)
		for _, column := range t.dropOrder[:drops] {
			widths[column] = dropped
		}
		shorten(last, minLastWidthBeforeDrop)
		for column := 1; column < last; column++ {
			shorten(column, minWidthBeforeDrop)
		}
		if tooWide() <= 0 {
			return
		}
	}
	for column := last; column > 0; column-- {
		shorten(column, minCellWidth)
	}
}
