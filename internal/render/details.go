package render

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Details is text in four columns, in the format of the original nomadctld's info. The last column may contain several
// lines.
type Details struct {
	style Style
	lines [][4]string // a zero line is blank
}

// NewDetails returns empty Details.
func NewDetails(style Style) *Details { return &Details{style: style} }

// Line adds a line of untrusted, unescaped text. Newlines in text are kept; everything else is escaped.
func (d *Details) Line(first, second, third, text string) {
	d.lines = append(d.lines, [4]string{escapeCell(first), escapeCell(second), escapeCell(third), text})
}

// Blank adds a blank line.
func (d *Details) Blank() { d.lines = append(d.lines, [4]string{}) }

// String returns the formatted text. Each column is as wide as its widest cell, on a terminal at most a quarter of
// its width. A long text is not cut but wraps, because it is the content the user asked for. Its further lines start
// at the left margin, so that multi-line text can be read and copied unchanged.
func (d *Details) String() string {
	var widths [3]int
	for _, line := range d.lines {
		for i := range widths {
			widths[i] = max(widths[i], runewidth.StringWidth(line[i]))
			if d.style.Width > 0 {
				widths[i] = min(widths[i], max(d.style.Width/4, minCellWidth))
			}
		}
	}
	var b strings.Builder
	for _, line := range d.lines {
		if line == ([4]string{}) {
			b.WriteString("\n")
			continue
		}
		for i, cell := range line[:3] {
			cell = runewidth.Truncate(cell, widths[i], "…")
			pad := strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell))
			b.WriteString(d.style.Colorize(StateColor(cell), cell) + pad + "|")
		}
		lines := strings.Split(strings.ReplaceAll(line[3], "\r\n", "\n"), "\n")
		for _, text := range lines {
			b.WriteString(escape.Text(text) + "\n")
		}
	}
	return b.String()
}
