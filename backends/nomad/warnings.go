package nomad

import "strings"

// splitWarnings returns the warnings in a response of Nomad, one line each. The text is a title such as "2 warnings:",
// then one item for each warning, marked with an asterisk. An item may have several lines.
func splitWarnings(text string) (warnings []string) {
	title, items, ok := strings.Cut(text, "\n")
	if !ok || !strings.HasSuffix(title, " warning:") && !strings.HasSuffix(title, " warnings:") {
		items = text
	}
	for line := range strings.Lines(items) {
		item, isNew := strings.CutPrefix(strings.TrimRight(line, "\n"), "* ")
		switch item = strings.TrimSpace(item); {
		case item == "":
		case isNew || len(warnings) == 0:
			warnings = append(warnings, item)
		default:
			warnings[len(warnings)-1] += " " + item
		}
	}
	return warnings
}
