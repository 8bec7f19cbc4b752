package docker

import (
	"fmt"
	"strings"

	"nomadctld/backends"
)

// startError translates the text in which the daemon reports why a program was not started. The text of the runtime
// differs between versions; the kernel's message at its end does not.
func startError(p backends.Program, text string) error {
	text = firstLine(strings.TrimSuffix(firstLine(text), ": unknown"))
	for _, prefix := range []string{
		"OCI runtime exec failed: ", "Error: ", "runc: ", "crun: ", "exec failed: ",
		"unable to start container process: ",
	} {
		text = strings.TrimPrefix(text, prefix)
	}
	name := displayName(p.Argv[0])
	lower := strings.ToLower(text)
	has := func(part string) bool { return strings.Contains(lower, part) }
	switch {
	case text == "":
		return fmt.Errorf("%s was not started: Docker gave no reason", name)
	case has("chdir to cwd"):
		return fmt.Errorf("%s was not started: %s", name, text)
	case has("executable file") && has("not found"), has("exec") && has("no such file or directory"):
		return &kindError{fmt.Errorf("%s: program not found in the container", name), backends.ErrProgramNotFound}
	}
	for _, why := range []string{"permission denied", "is a directory", "exec format error"} {
		if has(why) {
			return &kindError{fmt.Errorf("%s: not executable: %s", name, why), backends.ErrNotExecutable}
		}
	}
	return fmt.Errorf("%s was not started: %s", name, text)
}
