package commands

import (
	"path"
	"strings"

	"nomadctld/backends"
)

// jobFilter returns whether a job's ID fits a FILTER argument: any job when there is none, those that contain it,
// or, when it holds * or ?, those that are it. * stands for any text, slashes included.
func jobFilter(args []string) func(backends.Job) bool {
	if len(args) == 0 {
		return func(backends.Job) bool { return true }
	}
	filter := args[0]
	if !strings.ContainsAny(filter, "*?") {
		return func(j backends.Job) bool { return strings.Contains(j.ID, filter) }
	}
	// path.Match stops * at slashes and takes [ and \ for its own.
	pattern := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`).Replace(filter)
	return func(j backends.Job) bool {
		fits, _ := path.Match(pattern, strings.ReplaceAll(j.ID, "/", "\x00"))
		return fits
	}
}
