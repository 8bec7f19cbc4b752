package render

import (
	"hash/fnv"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Color is a colour of text on a terminal. The zero value is the terminal's own.
type Color string

// The colours, by what they mean.
const (
	Good Color = "\x1b[32m"
	Bad  Color = "\x1b[31m"
	Warn Color = "\x1b[33m"
)

func (c Color) wrap(text string) string {
	if c == "" || text == "" {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// StateColor returns the colour for a state in Nomad's words.
func StateColor(word string) Color {
	switch strings.ToLower(word) {
	case "running", "successful", "complete", "success":
		return Good
	case "failed", "lost", "failure":
		return Bad
	case "pending", "unknown", "blocked", "paused":
		return Warn
	}
	return ""
}

// NameColor returns a colour for a name, the same each time; names that differ mostly have different ones. It means
// nothing, so it is none of the colours above.
func NameColor(name string) Color {
	colors := []Color{"\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[95m", "\x1b[94m"}
	hash := fnv.New32a()
	io.WriteString(hash, name)
	return colors[hash.Sum32()%uint32(len(colors))]
}

// Colorize returns text, which has to be harmless already, in a colour where colours are wanted.
func (l Style) Colorize(c Color, text string) string {
	if !l.Color {
		return text
	}
	return c.wrap(text)
}

// Truncate returns text as far as it fits into a line of the terminal behind indent columns.
func (l Style) Truncate(text string, indent int) string {
	if l.Width == 0 {
		return text
	}
	return runewidth.Truncate(text, max(l.Width-indent, 1), "…")
}
