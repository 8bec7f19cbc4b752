package sshd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"nomadctld/acl"
	"nomadctld/router"
)

// subject is a user or a prefix group, for which connections, sessions and commands are counted.
type subject struct{ kind, name string }

const (
	userKind  = "user"
	groupKind = "prefix group"
)

func (s subject) String() string { return s.kind + " " + s.name }

// subjectsOf returns a user and the user's prefix groups.
func subjectsOf(u acl.User) []subject {
	all := []subject{{userKind, u.Login}}
	for _, g := range u.Groups {
		if s := (subject{groupKind, g.Name}); !slices.Contains(all, s) { // a certificate may grant it again
			all = append(all, s)
		}
	}
	return all
}

// of returns the limits of a subject.
func (l Limits) of(s subject) UserLimits {
	if s.kind == groupKind {
		return l.Groups[s.name]
	}
	return l.User
}

// usage counts the open connections and running sessions of a subject. Guarded by Server.mu.
type usage struct{ connections, sessions int }

// errTooManyConnections fails a handshake. The client only sees that the login failed.
var errTooManyConnections = errors.New("too many connections (limits.user.connections or limits.connections)")

// maxSpareConnections is the number of connections beyond a user's limit that stay open briefly, to report the limit.
const maxSpareConnections = 5

// loginCount returns the number of connections that are logged in. The caller holds mu.
func (s *Server) loginCount() (n int) {
	for subject, u := range s.usage {
		if subject.kind == userKind {
			n += u.connections
		}
	}
	return n
}

// Connections returns the number of open connections before and after the login.
func (s *Server) Connections() (unauthenticated, authenticated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	authenticated = s.loginCount()
	return len(s.conns) - authenticated, authenticated
}

// usageOf returns the counts of a subject. The caller holds mu.
func (s *Server) usageOf(who subject) *usage {
	u := s.usage[who]
	if u == nil {
		u = &usage{}
		s.usage[who] = u
	}
	return u
}

// addLogin counts an authenticated connection. It returns false if the connection must be closed. A few connections
// beyond a limit are accepted, so that their commands can report the limit.
func (s *Server) addLogin(c *connection, user acl.User) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limits, subjects := s.current().Limits, subjectsOf(user)
	if s.loginCount() >= limits.Connections {
		return false
	}
	if u := s.usage[subjects[0]]; u != nil && u.connections >= limits.User.Connections+maxSpareConnections {
		return false
	}
	c.markAuthenticated(user.Login, subjects)
	for _, who := range subjects {
		u := s.usageOf(who)
		u.connections++
		if limit := limits.of(who).Connections; limit > 0 && u.connections > limit {
			c.refuseSessions(tryLater("%s has reached the limit of %d connections: close one, then try again", who, limit))
		}
	}
	return true
}

// removeConnection removes a closed connection.
func (s *Server) removeConnection(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	for _, who := range c.countedFor() {
		s.usage[who].connections--
		s.forgetIfUnused(who)
	}
}

// forgetIfUnused removes the counts of a subject without connections and sessions. The caller holds mu.
func (s *Server) forgetIfUnused(who subject) {
	if *s.usage[who] == (usage{}) {
		delete(s.usage, who)
	}
}

// acquireSession counts a session of a connection, or returns why it is refused. Call leave when the command has
// finished.
func (s *Server) acquireSession(c *connection) (leave func(), refused error) {
	if why := c.refusal(); why != nil {
		return func() {}, why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limits, subjects := s.current().Limits, c.countedFor()
	if refused := s.sessionRefusal(limits, subjects); refused != nil {
		return func() {}, refused
	}
	for _, who := range subjects {
		s.usageOf(who).sessions++ // absent if the connection was closed
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, who := range subjects {
			s.usage[who].sessions--
			s.forgetIfUnused(who)
		}
	}, nil
}

// sessionRefusal returns why a new session is refused, or nil. It counts the command. The caller holds mu.
func (s *Server) sessionRefusal(limits Limits, subjects []subject) error {
	if s.draining {
		return tryLater("the gateway will be stopped soon and accepts no new commands; connect again")
	}
	total := 0
	for who, u := range s.usage {
		if who.kind == userKind {
			total += u.sessions
		}
	}
	for _, who := range subjects {
		limit := limits.of(who).Sessions
		if u := s.usage[who]; u != nil && limit > 0 && u.sessions >= limit {
			return tryLater("%s has reached the limit of %d sessions: close one, then try again", who, limit)
		}
	}
	if total >= limits.AllSessions {
		return tryLater("the gateway is busy with %d sessions: try again in a minute", total)
	}
	over, wait := s.rates.take(subjects, func(who subject) int { return limits.of(who).Commands })
	if wait > 0 {
		return tryLater("%s has reached the limit of %d commands per minute: try again in %s", over,
			limits.of(over).Commands, wholeSeconds(wait))
	}
	return nil
}

// wholeSeconds rounds a time to wait up to seconds.
func wholeSeconds(wait time.Duration) time.Duration {
	return (wait.Round(time.Millisecond) + time.Second - 1).Truncate(time.Second)
}

// tryLater returns an error with the exit code for limits.
func tryLater(format string, args ...any) error {
	return router.Exit(router.CodeTryLater, fmt.Errorf(format, args...))
}
