package nomad

import (
	"regexp"
	"strings"
)

// prefixFilter returns a filter expression for objects whose field begins with one of the prefixes; empty when all
// do or when a prefix could not be written down. Filters cannot be escaped, so only the operator's prefixes go
// in, in a raw string, and only when nothing in them can end it.
func prefixFilter(field string, prefixes []string) string {
	var quoted []string
	for _, p := range prefixes {
		if p == "" || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' }) {
			return ""
		}
		quoted = append(quoted, regexp.QuoteMeta(p))
	}
	if len(quoted) == 0 {
		return ""
	}
	return field + " matches `^(" + strings.Join(quoted, "|") + ")`"
}

// andFilters returns an expression for what fits two; either may be empty.
func andFilters(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + " and (" + b + ")"
}
