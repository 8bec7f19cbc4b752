package gateway

import (
	"nomadctld/config"
	"nomadctld/internal/sshd"
)

// sshLimits returns the limits of the SSH server.
func sshLimits(c *config.Config) sshd.Limits {
	limits := sshd.Limits{
		Sessions: c.Limits.Sessions, Connections: c.Limits.Connections,
		MaxStartups: sshd.MaxStartups(c.Limits.MaxStartups), IdleTimeout: c.Limits.Idle, Lifetime: c.Limits.Lifetime,
		User: sshUserLimits(c.Limits.User), Penalties: sshd.PenaltyLimits(c.Limits.Penalties),
		Groups: map[string]sshd.UserLimits{},
	}
	for name, g := range c.Groups {
		limits.Groups[name] = sshUserLimits(g.Limits)
	}
	return limits
}

func sshUserLimits(l config.UserLimits) sshd.UserLimits {
	return sshd.UserLimits{Connections: l.Connections, Sessions: l.Sessions, Commands: l.Commands}
}

// groupLimits returns a limit of each prefix group, by name.
func groupLimits(c *config.Config, limit func(config.UserLimits) int) map[string]int {
	all := map[string]int{}
	for name, g := range c.Groups {
		all[name] = limit(g.Limits)
	}
	return all
}
