package sshd

import (
	"errors"
	"fmt"

	"nomadctld/router"
)

// userUsage is what a user has of the gateway. Server.mu guards it.
type userUsage struct{ connections, sessions int }

// errTooManyConnections ends a handshake. Its client only learns that the login failed.
var errTooManyConnections = errors.New("too many connections, of the user or in all (limits.user.connections, limits.connections)")

// maxSpareConnections is how many connections beyond the limit may stay open for a moment, to report the limit.
const maxSpareConnections = 5

// loginCount returns how many connections are of users. The caller holds mu.
func (s *Server) loginCount() (n int) {
	for _, a := range s.usage {
		n += a.connections
	}
	return n
}

// addLogin makes a connection one of the user who has proven a key on it, and reports whether it may go on.
// A connection beyond the user's limit is admitted, so that its commands can report the limit.
func (s *Server) addLogin(c *connection, login string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.usage[login]
	if a == nil {
		a = &userUsage{}
	}
	limit := s.Limits.User.Connections
	if s.loginCount() >= s.Limits.Connections || a.connections >= limit+maxSpareConnections {
		return false
	}
	a.connections++
	s.usage[login] = a
	c.markAuthenticated(login)
	if a.connections > limit {
		c.refuseSessions(tryLater("%d connections of user %s are open, which is the limit: close one, then try again", limit, login))
	}
	return true
}

// removeConnection takes note that a connection was closed.
func (s *Server) removeConnection(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if a := s.usage[c.user()]; a != nil {
		a.connections--
		s.forgetIfUnused(c.user())
	}
}

// forgetIfUnused removes the account of a user who has nothing any more. The caller holds mu.
func (s *Server) forgetIfUnused(login string) {
	if *s.usage[login] == (userUsage{}) {
		delete(s.usage, login)
	}
}

// acquireSession lets a command of a user begin, or returns why not. leave has to be called when it has ended.
func (s *Server) acquireSession(c *connection, login string) (leave func(), refused error) {
	if why := c.sessionsRefused(); why != nil {
		return func() {}, why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.usage[login]
	if a == nil { // its connection has ended
		a = &userUsage{}
		s.usage[login] = a
	}
	all := 0
	for _, other := range s.usage {
		all += other.sessions
	}
	switch limit := s.Limits.User.Sessions; {
	case a.sessions >= limit:
		refused = tryLater("%d sessions of user %s are open, which is the limit: close one, then try again", limit, login)
	case all >= s.Limits.AllSessions:
		refused = tryLater("the gateway is busy with %d sessions: try again in a minute", all)
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

// tryLater is the error of a command that a limit refuses.
func tryLater(format string, args ...any) error {
	return router.Exit(router.CodeTryLater, fmt.Errorf(format, args...))
}
