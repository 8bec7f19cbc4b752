package sshd

import (
	"errors"
	"fmt"

	"nomadctld/router"
)

// userUsage counts the open connections and running sessions of a user. Guarded by Server.mu.
type userUsage struct{ connections, sessions int }

// errTooManyConnections fails a handshake. The client only sees that the login failed.
var errTooManyConnections = errors.New("too many connections (limits.user.connections or limits.connections)")

// maxSpareConnections is the number of connections beyond a user's limit that stay open briefly, to report the limit.
const maxSpareConnections = 5

// loginCount returns the number of connections that are logged in. The caller holds mu.
func (s *Server) loginCount() (n int) {
	for _, a := range s.usage {
		n += a.connections
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

// addLogin counts an authenticated connection of a user. It returns false if the connection must be closed. A few
// connections beyond the user's limit are accepted, so that their commands can report the limit.
func (s *Server) addLogin(c *connection, login string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.usage[login]
	if a == nil {
		a = &userUsage{}
	}
	limits := s.current().Limits
	limit := limits.User.Connections
	if s.loginCount() >= limits.Connections || a.connections >= limit+maxSpareConnections {
		return false
	}
	a.connections++
	s.usage[login] = a
	c.markAuthenticated(login)
	if a.connections > limit {
		c.refuseSessions(tryLater("user %s has reached the limit of %d connections: close one, then try again",
			login, limit))
	}
	return true
}

// removeConnection removes a closed connection.
func (s *Server) removeConnection(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if a := s.usage[c.user()]; a != nil {
		a.connections--
		s.forgetIfUnused(c.user())
	}
}

// forgetIfUnused removes the counts of a user without connections and sessions. The caller holds mu.
func (s *Server) forgetIfUnused(login string) {
	if *s.usage[login] == (userUsage{}) {
		delete(s.usage, login)
	}
}

// acquireSession counts a session of a user, or returns the error of a limit. Call leave when the command has finished.
func (s *Server) acquireSession(c *connection, login string) (leave func(), refused error) {
	if why := c.sessionLimitError(); why != nil {
		return func() {}, why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return func() {}, tryLater("the gateway will be stopped soon and accepts no new commands; connect again")
	}
	a := s.usage[login]
	if a == nil { // the connection was closed
		a = &userUsage{}
		s.usage[login] = a
	}
	total := 0
	for _, other := range s.usage {
		total += other.sessions
	}
	limits := s.current().Limits
	switch limit := limits.User.Sessions; {
	case a.sessions >= limit:
		refused = tryLater("user %s has reached the limit of %d sessions: close one, then try again", login, limit)
	case total >= limits.AllSessions:
		refused = tryLater("the gateway is busy with %d sessions: try again in a minute", total)
	}
	if refused != nil {
		s.forgetIfUnused(login)
		return func() {}, refused
	}
	a.sessions++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.sessions--
		s.forgetIfUnused(login)
	}, nil
}

// tryLater returns an error with the exit code for limits.
func tryLater(format string, args ...any) error {
	return router.Exit(router.CodeTryLater, fmt.Errorf(format, args...))
}
