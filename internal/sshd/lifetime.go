package sshd

import (
	"context"
	"fmt"
	"time"
)

// maxLifetimeWarning is the maximum time between the warning and the close of a connection.
const maxLifetimeWarning = 5 * time.Minute

// watchLifetime stops the commands of a connection and closes it after its lifetime. Before that, it warns. It returns
// when ctx ends.
func (s *Server) watchLifetime(ctx context.Context, c *connection) {
	lifetime := c.limits.Lifetime
	if lifetime == 0 {
		return
	}
	warning := min(maxLifetimeWarning, lifetime/2)
	select {
	case <-ctx.Done():
		return
	case <-time.After(lifetime - warning):
	}
	c.setEnd(time.Now().Add(warning))
	running, _ := c.runningCommands()
	for _, ch := range running {
		ch.printInBackground(c.lifetimeNotice())
	}
	select {
	case <-ctx.Done():
	case <-time.After(warning):
		c.endLogin(fmt.Errorf("closed %s after the login (limits.lifetime); connect again", lifetime))
	}
}

// setEnd sets the time for lifetimeNotice.
func (c *connection) setEnd(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endsAt = at
}

// lifetimeNotice returns the warning that the connection will be closed soon, or "".
func (c *connection) lifetimeNotice() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endsAt.IsZero() {
		return ""
	}
	return fmt.Sprintf("this connection will be closed in %s (limits.lifetime)", wholeSeconds(time.Until(c.endsAt)))
}
