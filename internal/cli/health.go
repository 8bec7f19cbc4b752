package cli

import (
	"context"
	"fmt"
	"slices"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/health"
)

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
	address, banner, err := health.Check(context.Background(), c.General.Bind, c.General.Proxies)
	if err != nil {
		return fail(1, "%v", err)
	}
	fmt.Println(address, "responds:", banner)
	return 0
}
