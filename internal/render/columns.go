package render

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Columns writes rows of untrusted text in columns separated by two spaces, as the nomad CLI does. The first row is
// the heading. On a terminal, states are colored and lines are cut at its width.
func Columns(b *strings.Builder, rows [][]string, style Style) {
	var widths []int
	cells := make([][]string, len(rows))
	for n, row := range rows {
		for i, text := range row {
			cell := escape.Text(text)
			cells[n] = append(cells[n], cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	for n, row := range cells {
		remaining := style.Width
		for i, cell := range row {
			if i < len(row)-1 {
				cell += strings.Repeat(" ", widths[i]+2-runewidth.StringWidth(cell))
			}
			if style.Width > 0 {
				cell = runewidth.Truncate(cell, remaining, "")
				remaining -= runewidth.StringWidth(cell)
			}
			if text := strings.TrimRight(cell, " "); n > 0 {
				cell = style.Colorize(StateColor(text), text) + cell[len(text):]
			}
			b.WriteString(cell)
		}
		b.WriteString("\n")
	}
}
