package render

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

const (
	columnGap        = 2  // between columns
	minShortenWidth  = 12 // cells are made narrower than this only if not even two columns fit
	minLastTextWidth = 12 // of a last column that is wrapped
)

// Columns writes rows of untrusted text in columns separated by two spaces, as the nomad CLI does. The first row is
// the heading. On a terminal, states are colored. If the table is wider than the terminal, Columns wraps headings, then
// wraps the last column, and then shortens long cells. If that is not enough, it writes the remaining columns below,
// with the first column repeated.
func Columns(b *strings.Builder, rows [][]string, style Style) {
	cells, count := make([][]string, len(rows)), 0
	for _, row := range rows {
		count = max(count, len(row))
	}
	for n, row := range rows {
		cells[n] = make([]string, count)
		for i, text := range row {
			cells[n][i] = escape.Text(text)
		}
	}
	for {
		shown := count
		widths, ok := columnWidths(cells, style.Width)
		for ; !ok && shown > 2; widths, ok = columnWidths(firstColumns(cells, shown), style.Width) {
			shown--
		}
		if !ok {
			for i := range widths {
				widths[i] = max(min(widths[i], style.Width/len(widths)-columnGap), 1)
			}
		}
		writeColumns(b, firstColumns(cells, shown), widths, style)
		if shown == count {
			return
		}
		for n, row := range cells {
			cells[n] = slices.Concat(row[:1], row[shown:])
		}
		count -= shown - 1
	}
}

func firstColumns(cells [][]string, count int) [][]string {
	part := make([][]string, len(cells))
	for n, row := range cells {
		part[n] = row[:count]
	}
	return part
}

// columnWidths returns the widths of the columns. ok is false if they do not fit the width, where 0 is unlimited.
func columnWidths(cells [][]string, width int) (widths []int, ok bool) {
	var natural []int // with the headings on one line
	for n, row := range cells {
		for i, cell := range row {
			if n == 0 {
				natural, widths = append(natural, runewidth.StringWidth(cell)), append(widths, longestWord(cell))
				continue
			}
			natural[i] = max(natural[i], runewidth.StringWidth(cell))
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	tooWide := func() int {
		sum := -columnGap
		for _, w := range widths {
			sum += w + columnGap
		}
		return sum - width
	}
	narrow := func(i, minWidth int) {
		if over := tooWide(); over > 0 && widths[i] > minWidth {
			widths[i] = max(widths[i]-over, minWidth)
		}
	}
	if width == 0 {
		return natural, true
	}
	narrow(len(widths)-1, minLastTextWidth)
	for tooWide() > 0 {
		widest := 0
		for i, w := range widths[:len(widths)-1] { // users copy the first column, so it is shortened last
			if w > minShortenWidth && (widest == 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widths[widest] <= minShortenWidth {
			return widths, false
		}
		widths[widest]--
	}
	for i, w := range natural { // do not wrap headings if there is space
		if grow := w - widths[i]; i < len(natural)-1 && tooWide()+grow <= 0 {
			widths[i] = w
		}
	}
	last := len(widths) - 1
	widths[last] = min(natural[last], widths[last]-tooWide())
	return widths, true
}

func longestWord(text string) (width int) {
	for _, word := range strings.Fields(text) {
		width = max(width, runewidth.StringWidth(word))
	}
	return width
}

// writeColumns writes cells in columns of the given widths. It wraps the heading and the last column, and shortens the
// other cells.
func writeColumns(b *strings.Builder, cells [][]string, widths []int, style Style) {
	for n, row := range cells {
		height, columns := 1, make([][]string, len(row))
		for i, cell := range row {
			columns[i] = []string{Shorten(cell, widths[i])}
			if n == 0 || i == len(row)-1 {
				columns[i] = Wrap(cell, widths[i])
			}
			height = max(height, len(columns[i]))
		}
		for y := range height {
			pad := 0
			for i, lines := range columns {
				at := y
				if n == 0 { // headings are aligned at the bottom
					at -= height - len(lines)
				}
				text := ""
				if 0 <= at && at < len(lines) {
					text = lines[at]
				}
				if text != "" {
					color := StateColor(text)
					if n == 0 {
						color = ""
					}
					b.WriteString(strings.Repeat(" ", pad) + style.Colorize(color, text))
					pad = 0
				}
				pad += widths[i] + columnGap - runewidth.StringWidth(text)
			}
			b.WriteString("\n")
		}
	}
}
