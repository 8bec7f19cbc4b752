package render

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Fact is a line of Facts. Text is untrusted and unescaped.
type Fact struct{ Name, Text string }

// Facts writes a line "name = text" for each fact, with the texts in one column, as the nomad CLI does. On a terminal,
// long texts wrap in their column, and the text of a fact named Status has the color of that state.
func Facts(b *strings.Builder, facts []Fact, style Style) {
	width := 0
	for _, f := range facts {
		width = max(width, runewidth.StringWidth(f.Name))
	}
	const sign = " = "
	for _, f := range facts {
		text := Indented(escape.Text(f.Text), width+len(sign), style.Width)
		if f.Name == "Status" {
			text = style.Colorize(StateColor(f.Text), text)
		}
		b.WriteString(f.Name + strings.Repeat(" ", width-runewidth.StringWidth(f.Name)) + sign + text + "\n")
	}
}
