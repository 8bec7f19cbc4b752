package nomad

import (
	"regexp"
	"strings"
)

// prefixFilter returns a filter expression for objects whose field starts with one of the prefixes. It is empty if
// there are no prefixes or if one cannot be expressed. Filters have no escapes, so prefixes are put into a raw string.
// A prefix that could end it cannot be expressed. Prefixes come from the configuration, never from users.
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

// andFilters returns the conjunction of two expressions. Both may be empty.
func andFilters(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + " and (" + b + ")"
}
