package docker

import (
	"fmt"
	"strings"

	"nomadctld/backends"
)

// startError makes an error of the text in which the daemon says why a program was not started. The runtime's words
// differ between versions; the kernel's at the end of them do not.
func startError(p backends.Program, text string) error {
	text = firstLine(strings.TrimSuffix(firstLine(text), ": unknown"))
	for _, around := range []string{"OCI runtime exec failed: ", "Error: ", "runc: ", "crun: ", "exec failed: ", "unable to start container process: "} {
		text = strings.TrimPrefix(text, around)
	}
	name := displayName(p.Argv[0])
	lower := strings.ToLower(text)
	has := func(part string) bool { return strings.Contains(lower, part) }
	switch {
	case text == "":
		return fmt.Errorf("%s was not started, and docker does not say why", name)
	case has("chdir to cwd"):
		return fmt.Errorf("%s was not started: %s", name, text)
	case has("executable file") && has("not found"), has("exec") && has("no such file or directory"):
		return fmt.Errorf("%s: %w in the container", name, backends.ErrProgramNotFound)
	}
	for _, why := range []string{"permission denied", "is a directory", "exec format error"} {
		if has(why) {
			return fmt.Errorf("%s: %w: %s", name, backends.ErrNotExecutable, why)
		}
	}
	return fmt.Errorf("%s was not started: %s", name, text)
}
