package render

import (
	"hash/fnv"
	"io"
	"strings"
)

// Color is a text color on a terminal. The zero value is the terminal's default color.
type Color string

// The colors, named by what they mean.
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

// StateColor returns the color for a Nomad state.
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

// NameColor returns a color for a name. It is always the same for a name, and usually differs between names. It has
// no meaning, so it is none of the colors above.
func NameColor(name string) Color {
	colors := []Color{"\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[95m", "\x1b[94m"}
	hash := fnv.New32a()
	io.WriteString(hash, name)
	return colors[hash.Sum32()%uint32(len(colors))]
}

// Colorize returns text in a color if the style has colors. The text must already be escaped.
func (s Style) Colorize(c Color, text string) string {
	if !s.Color {
		return text
	}
	return c.wrap(text)
}
