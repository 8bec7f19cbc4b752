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
	programs := groupLimits(c, func(l config.UserLimits) int { return l.Programs })
	logs := groupLimits(c, func(l config.UserLimits) int { return l.Logs })
	s := &router.RuntimeSelector{
		Table: []router.RuntimeEntry{
			{
				Name: "docker", Title: "Docker", Drivers: []string{"docker"},
				Runtime: func(string) backends.Runtime { return containers },
			},
			{Name: "nomad", Title: "Nomad", Runtime: func(tier string) backends.Runtime { return clients[tier] }},
		},
		RefusedDrivers: c.Docker.Refuse,
		ProgramQuota:   router.NewQuota("programs", c.Limits.User.Programs, programs),
		LogQuota:       router.NewQuota("logs", c.Limits.User.Logs, logs),
		ClusterOf:      clusterOf(c.Tiers),
	}
	if earlier != nil {
		s.Continue(earlier)
		s.ProgramQuota = earlier.ProgramQuota.WithLimits(c.Limits.User.Programs, programs)
		s.LogQuota = earlier.LogQuota.WithLimits(c.Limits.User.Logs, logs)
	}
	if c.Docker.Exec != config.ExecAuto {
		s.Only = c.Docker.Exec
		if !slices.ContainsFunc(s.Table, func(e router.RuntimeEntry) bool { return e.Name == s.Only }) {
			return nil, fmt.Errorf("docker.exec: no runtime has the name %s", s.Only)
		}
	}
	return s, nil
}
