package config

import "time"

// Limits bounds the connections and sessions of clients.
type Limits struct {
	Sessions        int           // per connection
	Connections     int           // authenticated, of all users
	Unauthenticated int           // connections that have not completed the handshake
	Idle            time.Duration // 0: no timeout
	User            UserLimits    // [limits.user]
}

// UserLimits bounds what one user may have at the same time, or all users of a prefix group together. 0 in the limits
// of a group means no limit.
type UserLimits struct {
	Connections int
	Sessions    int // over all connections
	Programs    int // per cluster
	Logs        int // per cluster
	Commands    int // that start within a minute
}

// limits reads [limits].
func (l *loader) limits(t *table) Limits {
	defer t.reportUnknownKeys()
	return Limits{
		Sessions:        t.number("sessions", defaultSessions),
		Connections:     t.number("connections", defaultConnections),
		Unauthenticated: t.number("unauthenticated", defaultUnauthenticated),
		Idle:            l.timeout(t, "idle", defaultIdle, "30m"),
		User:            l.userLimits(t.sub("user")),
	}
}

// timeout reads a duration. An absent or empty key is the default, and "0s" means no timeout.
func (l *loader) timeout(t *table, key string, defaultValue time.Duration, example string) time.Duration {
	v := t.text(key, key+" = "+quote(example))
	if !v.ok || v.text == "" {
		return defaultValue
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < 0 {
		l.errorf(v.at, "write a number with a unit, such as "+key+" = "+quote(example)+`, or "0s" for no timeout`,
			"%s is not a duration: %s", v.name, quote(v.text))
	}
	return d
}

// userLimits reads [limits.user].
func (l *loader) userLimits(t *table) UserLimits {
	defer t.reportUnknownKeys()
	return UserLimits{
		Connections: t.number("connections", defaultUserConnections),
		Sessions:    t.number("sessions", defaultUserSessions),
		Programs:    t.number("programs", defaultUserPrograms),
		Logs:        t.number("logs", defaultUserLogs),
		Commands:    t.number("commands", defaultUserCommands),
	}
}

// groupLimits reads [prefix.NAME.limits]. An absent key is 0.
func (l *loader) groupLimits(t *table) UserLimits {
	defer t.reportUnknownKeys()
	number := func(key string, example int) int {
		if t.find(key) == nil {
			t.declare(key)
			return 0
		}
		return t.number(key, example)
	}
	return UserLimits{
		Connections: number("connections", 4*defaultUserConnections),
		Sessions:    number("sessions", 4*defaultUserSessions),
		Programs:    number("programs", 2*defaultUserPrograms),
		Logs:        number("logs", 2*defaultUserLogs),
		Commands:    number("commands", 4*defaultUserCommands),
	}
}
