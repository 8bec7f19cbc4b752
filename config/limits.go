package config

import (
	"fmt"
	"net/netip"
	"time"
)

// Limits bounds the connections and sessions of clients.
type Limits struct {
	Sessions    int           // per connection
	Connections int           // authenticated, of all users
	MaxStartups MaxStartups   // connections that have not authenticated
	Idle        time.Duration // 0: no timeout
	Lifetime    time.Duration // of a connection, from the login; 0: no limit
	User        UserLimits    // [limits.user]
	Penalties   Penalties     // [limits.penalties]
}

// Penalties slow down addresses from which logins fail.
type Penalties struct {
	AuthFail time.Duration // for a failed login
	Min      time.Duration // no effect below it
	Max      time.Duration // 0: no penalties
	Exempt   []netip.Prefix
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
		Sessions:    t.number("sessions", defaultSessions),
		Connections: t.number("connections", defaultConnections),
		MaxStartups: l.maxStartups(t),
		Idle:        l.timeout(t, "idle", defaultIdle, "30m"),
		Lifetime:    l.timeout(t, "lifetime", 0, "12h"),
		User:        l.userLimits(t.sub("user")),
		Penalties:   l.penalties(t.sub("penalties")),
	}
}

// timeout reads a duration. An absent or empty key is the default, and "0s" means none.
func (l *loader) timeout(t *table, key string, defaultValue time.Duration, example string) time.Duration {
	v := t.text(key, key+" = "+quote(example))
	if !v.ok || v.text == "" {
		return defaultValue
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < 0 {
		l.errorf(v.at, "write a number with a unit, such as "+key+" = "+quote(example)+`, or "0s" for none`,
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

// penalties reads [limits.penalties].
func (l *loader) penalties(t *table) Penalties {
	defer t.reportUnknownKeys()
	p := Penalties{
		AuthFail: l.timeout(t, "authfail", defaultAuthFailPenalty, "5s"),
		Min:      l.timeout(t, "min", defaultMinPenalty, "15s"),
		Max:      l.timeout(t, "max", defaultMaxPenalty, "10m"),
	}
	exempt := t.texts("exempt", `exempt = ["10.0.0.0/8"]`)
	if p.Exempt = l.networks(exempt); !exempt.given {
		p.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	n := t.find("max")
	if n == nil {
		n = t.find("min")
	}
	if n != nil && p.Max > 0 && p.Min >= p.Max {
		l.errorf(n.at, fmt.Sprintf("write a shorter min or a longer max, such as max = %q", 2*p.Min),
			"%s.min (%s) is not shorter than max (%s), so there are no penalties", t.name, p.Min, p.Max)
	}
	return p
}
