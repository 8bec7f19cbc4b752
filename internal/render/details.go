package render

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
)

// Details is text in blocks: a heading, and facts about it in four columns. In a pipe it has the format of the original
// nomadctld's info, and each fact is one line. On a terminal, the text of a fact wraps at words under its own column.
type Details struct {
	style Style
	lines []detailsLine
}

type detailsLine struct {
	heading bool
	event   bool
	cells   [3]string // escaped
	text    []string  // lines, escaped
	color   Color     // of the second cell of a heading, and of the text of a fact
}

// NewDetails returns empty Details.
func NewDetails(style Style) *Details { return &Details{style: style} }

// Heading starts a block. Its state, the second column, has a color. All arguments are untrusted.
func (d *Details) Heading(name, state, third, text string, color Color) {
	d.lines = append(d.lines, detailsLine{
		heading: true, cells: [3]string{escapeCell(name), escapeCell(state), escapeCell(third)}, text: textLines(text),
		color: color,
	})
}

// Fact adds a fact to the block. label and subject may be empty, and text may contain several lines. All arguments are
// untrusted.
func (d *Details) Fact(label, subject, text string) { d.ColoredFact(label, subject, text, "") }

// ColoredFact is Fact with a color for the text.
func (d *Details) ColoredFact(label, subject, text string, color Color) {
	d.lines = append(d.lines, detailsLine{
		cells: [3]string{"", escapeCell(label), escapeCell(subject)}, text: textLines(text), color: color,
	})
}

// Event adds a fact whose label is a time, and is shown even if it equals the one above.
func (d *Details) Event(age, kind, text string) {
	d.Fact(age, kind, text)
	d.lines[len(d.lines)-1].event = true
}

// textLines returns the lines of an untrusted text that are not blank, escaped.
func textLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, escape.Text(strings.ReplaceAll(line, "\t", "    ")))
		}
	}
	return lines
}

// String returns the formatted text.
func (d *Details) String() string {
	var b strings.Builder
	for len(d.lines) > 0 {
		n := 1
		for n < len(d.lines) && !d.lines[n].heading {
			n++
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		if d.style.Width > 0 {
			d.writeTerminal(&b, d.lines[:n])
		} else {
			d.writePipe(&b, d.lines[:n])
		}
		d.lines = d.lines[n:]
	}
	return b.String()
}

// writePipe writes a block with separators. Each column is as wide as its widest cell.
func (d *Details) writePipe(b *strings.Builder, block []detailsLine) {
	var widths [3]int
	for _, line := range block {
		for i, cell := range line.cells {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	for _, line := range block {
		for i, cell := range line.cells {
			b.WriteString(cell + strings.Repeat(" ", widths[i]+1-runewidth.StringWidth(cell)) + "|")
		}
		for i := range line.text {
			line.text[i] = strings.TrimSpace(line.text[i])
		}
		b.WriteString(strings.Join(line.text, " ") + "\n")
	}
}

const (
	detailsIndent    = 2  // of facts on a terminal
	detailsGap       = 2  // between columns
	maxLabelWidth    = 14 // of the column of labels: a longer label shifts the rest of its line
	maxSubjectWidth  = 18 // of the column of subjects, likewise
	minTerminalWidth = 40 // narrower terminals get lines that are too wide
)

// writeTerminal writes a block with aligned columns. A label that equals the one above it is left out. Without a
// subject, the text starts in the column of the subjects.
func (d *Details) writeTerminal(b *strings.Builder, block []detailsLine) {
	width := max(d.style.Width, minTerminalWidth)
	label, subject := 0, 0
	for _, line := range block[1:] {
		if w := runewidth.StringWidth(line.cells[1]); w <= maxLabelWidth {
			label = max(label, w)
		}
		if w := runewidth.StringWidth(line.cells[2]); w <= maxSubjectWidth && len(line.text) > 0 {
			subject = max(subject, w)
		}
	}
	before := ""
	for _, line := range block {
		if line.heading {
			d.writeHeading(b, line, width)
			continue
		}
		at := &columnWriter{Builder: b}
		if line.event || line.cells[1] != before {
			at.put(detailsIndent, line.cells[1], "")
		}
		before = line.cells[1]
		start := detailsIndent + label + detailsGap
		if cell := Shorten(line.cells[2], max(width-start, minWrapWidth)); cell != "" {
			at.put(start, cell, d.color(StateColor(cell)))
			start += subject + detailsGap
		}
		from := max(start, at.column+detailsGap)
		if at.column == 0 {
			from = start
		}
		if subjects := detailsIndent + label + detailsGap; from > subjects && hasWordWider(line.text, width-from) {
			from = subjects
			at.newline()
		}
		for i, text := range line.text {
			for j, wrapped := range Wrap(text, max(width-from, minWrapWidth)) {
				if i+j > 0 {
					at.newline()
				}
				at.put(from, wrapped, d.color(line.color))
			}
		}
		at.newline()
	}
}

// hasWordWider reports whether a word is wider than the column, so that it needs to be broken.
func hasWordWider(lines []string, width int) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return slices.ContainsFunc(strings.Fields(line), func(word string) bool {
			return runewidth.StringWidth(word) > width
		})
	})
}

// writeHeading writes the cells of a heading with two spaces between them.
func (d *Details) writeHeading(b *strings.Builder, line detailsLine, width int) {
	at := &columnWriter{Builder: b}
	for i, cell := range append(line.cells[:], line.text...) {
		if cell == "" {
			continue
		}
		color := Color("")
		if i == 1 {
			color = d.color(line.color)
		}
		for j, wrapped := range Wrap(cell, width-detailsIndent) {
			switch {
			case j > 0, at.column > 0 && at.column+detailsGap+runewidth.StringWidth(wrapped) > width:
				at.newline()
				at.put(detailsIndent, wrapped, color)
			case at.column > 0:
				at.put(at.column+detailsGap, wrapped, color)
			default:
				at.put(0, wrapped, color)
			}
		}
	}
	at.newline()
}

func (d *Details) color(c Color) Color {
	if !d.style.Color {
		return ""
	}
	return c
}

// columnWriter writes text at columns of a line.
type columnWriter struct {
	*strings.Builder
	column int
}

// put writes text at a column, or after the text that already covers it. It does not write trailing spaces.
func (w *columnWriter) put(column int, text string, color Color) {
	if text == "" {
		return
	}
	if column < w.column {
		column = w.column + detailsGap
	}
	w.WriteString(strings.Repeat(" ", column-w.column) + color.wrap(text))
	w.column = column + runewidth.StringWidth(text)
}

func (w *columnWriter) newline() {
	w.WriteString("\n")
	w.column = 0
}
