package gateway

import (
	"fmt"
	"slices"

	"nomadctld/backends"
	"nomadctld/backends/docker"
	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/router"
)

// newRuntimes returns the runtimes of tasks, in the order of preference, with the settings of c. It makes no
// connections. To add a runtime, add an entry here and, if it can be the only one, its name to config.ExecModes.
// earlier are the runtimes of an earlier configuration, or nil.
func newRuntimes(
	c *config.Config, clients map[string]*nomad.Client, containers *docker.Docker, earlier *router.RuntimeSelector,
) (*router.RuntimeSelector, error) {
	s := &router.RuntimeSelector{
		Table: []router.RuntimeEntry{
			{
				Name: "docker", Title: "Docker", Drivers: []string{"docker"},
				Runtime: func(string) backends.Runtime { return containers },
			},
			{Name: "nomad", Title: "Nomad", Runtime: func(tier string) backends.Runtime { return clients[tier] }},
		},
		RefusedDrivers: c.Docker.Refuse,
		ProgramQuota:   router.NewQuota("programs", c.Limits.User.Programs),
		LogQuota:       router.NewQuota("logs", c.Limits.User.Logs),
		ClusterOf:      clusterOf(c.Tiers),
	}
	if earlier != nil {
		s.Continue(earlier)
		s.ProgramQuota = earlier.ProgramQuota.WithLimit(c.Limits.User.Programs)
		s.LogQuota = earlier.LogQuota.WithLimit(c.Limits.User.Logs)
	}
	if c.Docker.Exec != config.ExecAuto {
		s.Only = c.Docker.Exec
		if !slices.ContainsFunc(s.Table, func(e router.RuntimeEntry) bool { return e.Name == s.Only }) {
			return nil, fmt.Errorf("docker.exec: no runtime has the name %s", s.Only)
		}
	}
	return s, nil
}
