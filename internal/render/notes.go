package render

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Notes is text in four columns, the last of which may hold several lines, as the original nomadctld's info.
type Notes struct {
	style Style
	lines [][4]string // a zero line is blank
}

// NewNotes returns empty notes.
func NewNotes(look Style) *Notes { return &Notes{style: look} }

// Line adds a line of foreign text as it came. Newlines in text are kept; whatever else it holds is made harmless.
func (n *Notes) Line(first, second, third, text string) {
	n.lines = append(n.lines, [4]string{escapeCell(first), escapeCell(second), escapeCell(third), text})
}

// Blank adds a blank line.
func (n *Notes) Blank() { n.lines = append(n.lines, [4]string{}) }

// String returns the notes. The columns are as wide as their widest cell, but on a terminal no wider than a quarter of
// it; the text goes on in the terminal's next line where it is longer, because it is what one came for. Further lines of a text begin at the margin,
// so that what was several lines can be read, and copied, as it was.
func (n *Notes) String() string {
	var widths [3]int
	for _, line := range n.lines {
		for i := range widths {
			widths[i] = max(widths[i], runewidth.StringWidth(line[i]))
			if n.style.Width > 0 {
				widths[i] = min(widths[i], max(n.style.Width/4, minCellWidth))
			}
		}
	}
	var b strings.Builder
	for _, line := range n.lines {
		if line == ([4]string{}) {
			b.WriteString("\n")
			continue
		}
		for i, cell := range line[:3] {
			cell = runewidth.Truncate(cell, widths[i], "…")
			pad := strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell))
			b.WriteString(n.style.Colorize(StateColor(cell), cell) + pad + "|")
		}
		lines := strings.Split(strings.ReplaceAll(line[3], "\r\n", "\n"), "\n")
		for _, text := range lines {
			b.WriteString(escape.Text(text) + "\n")
		}
	}
	return b.String()
}
