package sshd

import (
	"context"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/router"
)

const (
	loginCheckInterval    = time.Minute // finds changes of the clock and of the rules
	minLoginCheckInterval = time.Second
)

// watchLogin stops the commands of a connection when its key or certificate is no longer accepted. It checks that when
// the key or certificate expires, and every loginCheckInterval, until ctx ends.
func (s *Server) watchLogin(ctx context.Context, c *connection, conn *gossh.ServerConn) {
	for {
		login, refused := s.currentLogin(conn)
		if refused != nil {
			s.Log.Info("login no longer accepted", "user", conn.User(), "remote", c.remote(), "error", refused)
			c.endLogin(router.NoLongerAccepted(refused))
			return
		}
		wait := loginCheckInterval
		if !login.Expires.IsZero() {
			wait = min(wait, max(login.Expires.Sub(s.time()), minLoginCheckInterval))
		}
		select {
		case <-ctx.Done():
			return
		case <-c.loginRecheck:
		case <-time.After(wait):
		}
	}
}

// recheckLogin makes watchLogin check at once.
func (c *connection) recheckLogin() {
	select {
	case c.loginRecheck <- struct{}{}:
	default: // it will check
	}
}

// time returns the current time, by which keys and certificates are valid.
func (s *Server) time() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

// endLogin cancels all commands with the error why, and refuses new ones. It closes the connection, at once if no
// command is running, or else after StopGrace.
func (c *connection) endLogin(why error) {
	c.mu.Lock()
	c.sessionRefusal = why
	if !c.closed {
		c.deadline.Reset(c.limits.StopGrace)
	}
	var channels []*channel
	for ch := range c.channels {
		channels = append(channels, ch)
	}
	c.mu.Unlock()
	running := false
	for _, ch := range channels {
		if ch.hasStarted() {
			running = true
			ch.cancel(why)
		}
	}
	if !running {
		c.Close()
	}
}
