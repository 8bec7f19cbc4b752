// Package phrase formats the parts of messages that describe jobs and allocations: counts, lists, short IDs, and errors
// with the next step. Its functions are pure. They do not escape untrusted text; the code that prints a message does.
package phrase

import (
	"fmt"
	"strings"
)

// Count returns a number with its noun: "1 allocation", "2 allocations". The plural must be the noun with an s.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// List lists words, or returns "none".
func List(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// ShortID returns the first 8 digits of an ID, as Nomad's own output does.
func ShortID(id string) string { return id[:min(8, len(id))] }
