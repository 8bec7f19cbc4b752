package commands

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"nomadctld/internal/escape"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/render"
)

// psLine is a line of the table that ps prints on a terminal: a job or a task.
type psLine struct {
	job             bool
	system          bool // a task of a system job: only the node distinguishes its allocations
	id, name, state string
	level           jobstate.Level
	cells           [psMiddleColumns]string // allocation, node, uptime, CPU, memory
	reasons         []string                // on a line each if they do not fit on the line of the task or job
}

// reason returns the reasons as one text.
func (p psLine) reason() string { return strings.Join(p.reasons, "; ") }

const (
	psNodeColumn    = 1  // the index of the node in psLine.cells
	psMiddleColumns = 5  // the columns between the state and the reason
	psIDWidth       = 10 // of an exec ID
	psGap           = 2  // between columns
	psNameWidth     = 24 // names up to this width never count as long
)

var psMiddleHeader = [psMiddleColumns]string{"Alloc", "Node", "Uptime", "CPU", "Mem(max)"}

// psLayout has the widths of the columns; 0 is a column that is not shown.
type psLayout struct {
	width  int // of the terminal
	wide   bool
	name   int
	state  int
	middle [psMiddleColumns]int
}

// newPsLayout chooses the columns. Columns that do not fit are dropped in this order: allocation, node, uptime, CPU. A
// name that is wider than 24 columns and than a quarter of the terminal does not widen its column.
func newPsLayout(lines []psLine, width int, wide bool) psLayout {
	l := psLayout{width: width, wide: wide, state: len("State")}
	limit := max(psNameWidth, width/4)
	if wide {
		limit = width
	}
	for i, header := range psMiddleHeader {
		l.middle[i] = len(header)
	}
	used := [psMiddleColumns]bool{}
	for _, line := range lines {
		name := runewidth.StringWidth(line.name)
		if line.job {
			name -= psIDWidth + psGap // a job's name also covers the column of the exec ID
		}
		if name <= limit {
			l.name = max(l.name, name)
		}
		l.state = max(l.state, runewidth.StringWidth(line.state))
		for i, cell := range line.cells {
			l.middle[i] = max(l.middle[i], runewidth.StringWidth(cell))
			used[i] = used[i] || cell != ""
		}
	}
	l.name = max(l.name, len("Job/Task"))
	for i := range l.middle {
		if !used[i] {
			l.middle[i] = 0
		}
	}
	if wide || width == 0 {
		return l
	}
	for i := 0; i < psMiddleColumns-1 && !l.fits(lines); i++ {
		l.middle[i] = 0
	}
	return l
}

// fits reports whether the columns fit the terminal. The middle columns must also leave room for the reasons: a reason
// that fits on a line without them must fit next to them.
func (l psLayout) fits(lines []psLine) bool {
	minEnd := psIDWidth + psGap + l.name + psGap + l.state + psGap
	end := minEnd // of the columns
	for _, w := range l.middle {
		if w > 0 {
			end += w + psGap
		}
	}
	if end-psGap > l.width {
		return false
	}
	for _, line := range lines {
		start := minEnd
		for i, end := 0, minEnd; i < psMiddleColumns; i++ {
			if l.middle[i] > 0 {
				end += l.middle[i] + psGap
				if line.cells[i] != "" {
					start = end
				}
			}
		}
		reason := runewidth.StringWidth(line.reason())
		if minEnd+reason <= l.width && start+reason > l.width {
			return false
		}
	}
	return true
}

// writePsTerminal writes the table. Every text in it is untrusted and not escaped yet.
func writePsTerminal(w io.Writer, lines []psLine, style render.Style, wide bool) error {
	for i := range lines {
		line := &lines[i]
		line.name = escape.Text(line.name)
		for j := range line.reasons {
			line.reasons[j] = escape.Text(line.reasons[j])
		}
		for j := range line.cells {
			line.cells[j] = escape.Text(line.cells[j])
		}
	}
	l := newPsLayout(lines, style.Width, wide)
	for i := range lines {
		if line := &lines[i]; line.system && l.middle[psNodeColumn] == 0 {
			line.reasons = append([]string{"on " + line.cells[psNodeColumn]}, line.reasons...)
		}
	}
	var b strings.Builder
	header := psLine{id: "Exec ID", name: "Job/Task", state: "State", cells: psMiddleHeader, reasons: []string{"Extra"}}
	for i, w := range l.middle {
		if w == 0 {
			header.cells[i] = ""
		}
	}
	if !l.fits([]psLine{header}) {
		header.reasons = nil
	}
	l.write(&b, header, render.Style{})
	for _, line := range lines {
		l.write(&b, line, style)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes a line. A cell that is too long shifts those after it. The reason extends over empty cells. If it does
// not fit, it is written on the next lines.
func (l psLayout) write(b *strings.Builder, line psLine, style render.Style) {
	column, at := 0, 0 // the column of the next cell, and the width of the line so far
	start := func() int {
		if at == 0 {
			return column
		}
		return max(column, at+psGap)
	}
	put := func(text string, width int, color render.Color) {
		if text != "" {
			b.WriteString(strings.Repeat(" ", start()-at) + style.Colorize(color, text))
			at = start() + runewidth.StringWidth(text)
		}
		column += width + psGap
	}
	if line.job {
		put(l.shorten(line.name, 0, line.state), psIDWidth+psGap+l.name, "")
	} else {
		put(line.id, psIDWidth, "")
		put(l.shorten(line.name, psIDWidth+psGap, line.state), l.name, "")
	}
	put(line.state, l.state, levelColor(line.level))
	last := 0
	for i, cell := range line.cells {
		if cell != "" && l.middle[i] > 0 {
			last = i + 1
		}
	}
	for i, cell := range line.cells[:last] {
		switch {
		case l.middle[i] == 0:
		case l.width > 0 && !l.wide && start()+runewidth.StringWidth(cell) > l.width: // a long name has shifted it
			if start() < l.width {
				put("…", l.middle[i], "")
			}
		default:
			put(cell, l.middle[i], "")
		}
	}
	color := levelColor(line.level)
	if line.level == jobstate.Good {
		color = ""
	}
	switch width := runewidth.StringWidth(line.reason()); {
	case width == 0:
	case l.width == 0 || l.wide || start()+width <= l.width:
		put(line.reason(), width, color)
	default:
		const indent = psIDWidth + psGap
		for _, reason := range line.reasons {
			for _, text := range foldReason(reason, max(l.width-indent, 1)) {
				b.WriteString("\n" + strings.Repeat(" ", indent) + style.Colorize(color, text))
			}
		}
	}
	b.WriteString("\n")
}

// foldReason returns a reason in at most two lines. It cuts a longer one, and adds an ellipsis.
func foldReason(reason string, width int) []string {
	if runewidth.StringWidth(reason) <= width {
		return []string{reason}
	}
	first := runewidth.Truncate(reason, width, "")
	rest := reason[len(first):]
	if at := strings.LastIndexByte(first, ' '); at > 0 && !strings.HasPrefix(rest, " ") {
		first, rest = first[:at], reason[at:]
	}
	return []string{first, runewidth.Truncate(strings.TrimLeft(rest, " "), width, "…")}
}

// shorten removes the middle of a name that does not leave room for the state.
func (l psLayout) shorten(name string, indent int, state string) string {
	room := l.width - indent - psGap - runewidth.StringWidth(state)
	if l.width == 0 || l.wide || runewidth.StringWidth(name) <= room {
		return name
	}
	return render.Shorten(name, max(room, 8))
}

func levelColor(level jobstate.Level) render.Color {
	switch level {
	case jobstate.Good:
		return render.Good
	case jobstate.Warn:
		return render.Warn
	case jobstate.Bad:
		return render.Bad
	}
	return ""
}
