package cli

import (
	"fmt"
	"os"
	"strconv"

	"nomadctld/config"
	"nomadctld/internal/gateway"
)

// loadConfig loads the configuration and prints the diagnostics. It returns nil if there was an error.
func loadConfig(file string) *config.Config {
	path, err := config.Find(file)
	if err != nil {
		fail(1, "%v%s", err, containerHint())
		return nil
	}
	c, diagnostics := config.Load(path, gateway.Commands())
	for _, d := range diagnostics {
		fmt.Fprintln(os.Stderr, d)
	}
	return c
}

// containerHint returns a hint for users of the project's image. The hints in the error of config.Find do not apply
// there.
func containerHint() string {
	if os.Getenv("NOMADCTLD_CONTAINER") == "" { // the Dockerfile sets it
		return ""
	}
	return "\nin a container, mount a directory with nomadctld.toml and its keys and tokens, readable by user " +
		strconv.Itoa(os.Getuid()) + ":\n  docker run -v /etc/nomadctld:/etc/nomadctld:ro -p 2222:2222 IMAGE"
}
