package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/health"
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

// checkHealth prints whether the gateway of the configuration responds.
func checkHealth(file string) int {
	path, err := config.Find(file)
	if err != nil {
		return fail(1, "%v", err)
	}
	c, diagnostics := config.Load(path, gateway.Commands())
	if c == nil {
		i := slices.IndexFunc(diagnostics, func(d config.Diagnostic) bool { return !d.Warning })
		return fail(1, "%s", diagnostics[i])
	}
	address, banner, err := health.Check(context.Background(), c.General.Bind)
	if err != nil {
		return fail(1, "%v", err)
	}
	fmt.Println(address, "responds:", banner)
	return 0
}

func checkConfig(file string) int {
	c := loadConfig(file)
	if c == nil {
		return 1
	}
	if err := gateway.Check(c); err != nil {
		return fail(1, "%s: %v", c.Path, err)
	}
	fmt.Printf("%s: %s\n", c.Path, c.Summary())
	return 0
}
