package render

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Columns writes rows of foreign text, the first of them a heading, in columns that two spaces part, as the nomad CLI
// does. On a terminal the states among the cells are coloured and a line ends where the terminal does.
func Columns(b *strings.Builder, rows [][]string, look Style) {
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
		left := look.Width
		for i, cell := range row {
			if i < len(row)-1 {
				cell += strings.Repeat(" ", widths[i]+2-runewidth.StringWidth(cell))
			}
			if look.Width > 0 {
				cell = runewidth.Truncate(cell, left, "")
				left -= runewidth.StringWidth(cell)
			}
			if text := strings.TrimRight(cell, " "); n > 0 {
				cell = look.Colorize(StateColor(text), text) + cell[len(text):]
			}
			b.WriteString(cell)
		}
		b.WriteString("\n")
	}
}
