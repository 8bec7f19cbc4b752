package wire

import "strings"

// Match reports whether a path matches the pattern of a route, and returns the value of {id}. {id} matches one segment
// of the path, and {id...} matches one or more: job IDs may contain slashes.
func Match(pattern, path string) (id string, fits bool) {
	before, after, open := strings.Cut(pattern, "{id")
	if !open {
		return "", pattern == path
	}
	deep := strings.HasPrefix(after, "...")
	after = strings.TrimPrefix(strings.TrimPrefix(after, "..."), "}")
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(rest, after)
	return id, ok && id != "" && (deep || !strings.Contains(id, "/"))
}
