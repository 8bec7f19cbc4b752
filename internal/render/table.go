// Package render lays out what commands show: tables, trees and JSON. It is the only place where strings of a
// cluster become terminal text, and it escapes them before it measures them.
package render

import (
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Style is how something is to be shown. The zero value is for a pipe: nothing is cut, nothing coloured.
type Style struct {
	Width int // columns of the terminal; 0: any
	Color bool
}

// Table is a header and rows of cells, written with a column separator of "|" as the original nomadctld's
// tables, which people's scripts cut apart.
type Table struct {
	header    []string
	rows      [][]string
	dropOrder []int
	cellColor func(column int, text string) Color
}

// NewTable returns a table with one column for each header.
func NewTable(header ...string) *Table { return &Table{header: header} }

// DropWhenNarrow names the columns that are left out on a narrow terminal, the least important first.
func (t *Table) DropWhenNarrow(columns ...int) *Table {
	t.dropOrder = columns
	return t
}

// ColorCells sets how cells are coloured, where colours are wanted.
func (t *Table) ColorCells(paint func(column int, text string) Color) *Table {
	t.cellColor = paint
	return t
}

// Row adds a line. Cells are foreign text as it came; missing ones are empty.
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

// escapeCell returns foreign text for a column that a "|" ends: a name must not pass for two columns.
func escapeCell(text string) string { return strings.ReplaceAll(escape.Text(text), "|", `\x7c`) }

// Write writes the header and the rows in one write. Each column is as wide as its widest cell and a space; the last
// one is not padded.
func (t *Table) Write(w io.Writer, look Style) error {
	lines := append([][]string{t.header}, t.rows...)
	widths := make([]int, len(t.header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	if look.Width > 0 {
		t.fit(widths, look.Width)
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
			if look.Color && t.cellColor != nil && n > 0 {
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
	dropped                = -1
	minCellWidth           = 6  // columns that a shortened cell keeps at the least
	minWidthBeforeDrop     = 24 // and before a column is left out for it
	minLastWidthBeforeDrop = 18 // likewise in the last column, where long texts stand
)

// fit makes the widths small enough for a line of width columns, as far as that goes: first by shortening the long
// cells a bit, then by leaving out columns, then by shortening what is left.
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
	shorten := func(column, least int) {
		if over := tooWide(); over > 0 && widths[column] > least {
			widths[column] = max(widths[column]-over, least)
		}
	}
	last := len(widths) - 1
	for left := range len(t.dropOrder) + 1 {
		copy(widths, natural)
		for _, column := range t.dropOrder[:left] {
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
