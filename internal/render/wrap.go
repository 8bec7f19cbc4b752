package render

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Wrap breaks a line of escaped text at spaces into lines that are at most width columns wide. A longer word is broken
// at the width. The result has at least one line. A width of 0 is unlimited.
func Wrap(text string, width int) []string {
	if width <= 0 || fitting(text, width) == len(text) {
		return []string{text}
	}
	var lines []string
	for {
		text = strings.TrimLeft(text, " ")
		n := fitting(text, width)
		if n == len(text) {
			break
		}
		line := text[:n]
		if line == "" { // one character is wider than the line
			line = firstRune(text)
		}
		if at := strings.LastIndexByte(line, ' '); at > 0 && text[len(line)] != ' ' {
			line = line[:at]
		}
		lines, text = append(lines, strings.TrimRight(line, " ")), text[len(line):]
	}
	if text != "" || len(lines) == 0 {
		lines = append(lines, text)
	}
	return lines
}

// fitting returns the length of the longest prefix that fits the width. It reads no more than that, because a message
// may have a megabyte.
func fitting(text string, width int) int {
	for i, r := range text {
		if width -= runewidth.RuneWidth(r); width < 0 {
			return i
		}
	}
	return len(text)
}

func firstRune(text string) string {
	for i := range text {
		if i > 0 {
			return text[:i]
		}
	}
	return text
}

// Indented wraps a line of escaped text after a prefix of the given width in columns. The second line and those after
// it are indented by that width.
func Indented(text string, indent, width int) string {
	if width > 0 {
		width = max(width-indent, minWrapWidth)
	}
	return strings.Join(Wrap(text, width), "\n"+strings.Repeat(" ", indent))
}

// minWrapWidth is the minimum width of a wrapped column. On a terminal that is even narrower, lines are too wide.
const minWrapWidth = 10

// Shorten replaces the middle of escaped text with an ellipsis if it is wider than width columns. The ends of names
// distinguish them more often than their middles.
func Shorten(text string, width int) string {
	if width <= 0 || runewidth.StringWidth(text) <= width {
		return text
	}
	head := runewidth.Truncate(text, width*2/3, "")
	left := width - runewidth.StringWidth(head) - 1
	tail := ""
	for _, r := range slices.Backward([]rune(text)) {
		if left -= runewidth.RuneWidth(r); left < 0 {
			break
		}
		tail = string(r) + tail
	}
	return head + "…" + tail
}
