package commands

import (
	"path"
	"strings"

	"nomadctld/backends"
)

// jobFilter returns a function that reports whether a job's ID matches the FILTER argument. Without FILTER every job
// matches. A FILTER with * or ? must match the whole ID, where * also matches slashes. Any other FILTER matches the IDs
// that contain it.
func jobFilter(args []string) func(backends.Job) bool {
	if len(args) == 0 {
		return func(backends.Job) bool { return true }
	}
	filter := args[0]
	if !strings.ContainsAny(filter, "*?") {
		return func(j backends.Job) bool { return strings.Contains(j.ID, filter) }
	}
	// In path.Match, * stops at slashes, and [ and \ are special.
	pattern := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`).Replace(filter)
	return func(j backends.Job) bool {
		ok, _ := path.Match(pattern, strings.ReplaceAll(j.ID, "/", "\x00"))
		return ok
	}
}
