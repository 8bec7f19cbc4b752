package sshd

import (
	"errors"
	"fmt"

	"nomadctld/router"
)

// account is what a user has of the gateway. Server.mu guards it.
type account struct{ connections, sessions int }

// errCrowded ends a handshake. Its client only learns that the login failed.
var errCrowded = errors.New("too many connections, of the user or in all (limits.user.connections, limits.connections)")

// spareConnections is how many connections beyond the limit may stay open for a moment, to report the limit.
const spareConnections = 5

// loggedIn returns how many connections are of users. The caller holds mu.
func (s *Server) loggedIn() (n int) {
	for _, a := range s.accounts {
		n += a.connections
	}
	return n
}

// admitted makes a connection one of the user who has proven a key on it, and reports whether it may go on.
// A connection beyond the user's limit is admitted, so that its commands can report the limit.
func (s *Server) admitted(c *connection, login string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[login]
	if a == nil {
		a = &account{}
	}
	limit := s.Limits.User.Connections
	if s.loggedIn() >= s.Limits.Connections || a.connections >= limit+spareConnections {
		return false
	}
	a.connections++
	s.accounts[login] = a
	c.prove(login)
	if a.connections > limit {
		c.crowd(tryLater("%d connections of user %s are open, which is the limit: close one, then try again", limit, login))
	}
	return true
}

// left takes note that a connection was closed.
func (s *Server) left(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if a := s.accounts[c.user()]; a != nil {
		a.connections--
		s.forget(c.user())
	}
}

// forget removes the account of a user who has nothing any more. The caller holds mu.
func (s *Server) forget(login string) {
	if *s.accounts[login] == (account{}) {
		delete(s.accounts, login)
	}
}

// take lets a command of a user begin, or returns why not. leave has to be called when it has ended.
func (s *Server) take(c *connection, login string) (leave func(), refused error) {
	if why := c.crowded(); why != nil {
		return func() {}, why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[login]
	if a == nil { // its connection has ended
		a = &account{}
		s.accounts[login] = a
	}
	all := 0
	for _, other := range s.accounts {
		all += other.sessions
	}
	switch limit := s.Limits.User.Sessions; {
	case a.sessions >= limit:
		refused = tryLater("%d sessions of user %s are open, which is the limit: close one, then try again", limit, login)
	case all >= s.Limits.AllSessions:
		refused = tryLater("the gateway is busy with %d sessions: try again in a minute", all)
	}
	if refused != nil {
		s.forget(login)
		return func() {}, refused
	}
	a.sessions++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.sessions--
		s.forget(login)
	}, nil
}

// tryLater is the error of a command that a limit refuses.
func tryLater(format string, args ...any) error {
	return router.Exit(router.CodeTryLater, fmt.Errorf(format, args...))
}
