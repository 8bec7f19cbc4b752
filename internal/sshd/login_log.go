package sshd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
)

// loginLog records what became of clients that did not log in, in the log and in the audit log. What such clients send is
// cut, and how much is recorded of it does not grow with their number.
type loginLog struct {
	server *Server

	noSlot, displacedConns, badHandshakes, failedLogins, forgedLogins *logThrottle
}

func newLoginLog(s *Server) loginLog {
	r := loginLog{server: s}
	summary := func(what string) func(suppressed, networks int) {
		return func(suppressed, networks int) {
			s.Log.Warn(what, "suppressed", suppressed, "networks", networks)
		}
	}
	audited := func(what string) func(suppressed, networks int) {
		return func(suppressed, networks int) {
			summary(what)(suppressed, networks)
			s.record(audit.Event{
				Kind: audit.LoginRefused, Time: time.Now().UTC(), Command: []string{}, Decision: audit.Denied,
				Error: fmt.Sprintf("%s: %d more from %d networks, not recorded individually", what, suppressed, networks),
			})
		}
	}
	r.noSlot = newLogThrottle(summary("connection refused"))
	r.displacedConns = newLogThrottle(summary("connection closed"))
	r.badHandshakes = newLogThrottle(summary("handshake failed"))
	r.failedLogins = newLogThrottle(audited("login failed"))
	r.forgedLogins = newLogThrottle(audited("login with a forged signature"))
	return r
}

// flush reports what was kept back so far.
func (r *loginLog) flush() {
	for _, t := range []*logThrottle{r.noSlot, r.displacedConns, r.badHandshakes, r.failedLogins, r.forgedLogins} {
		t.flush()
	}
}

// recordNoSlot records a connection for which there is no slot.
func (r *loginLog) recordNoSlot(c *connection) {
	if r.noSlot.allow(c.network) {
		r.server.Log.Warn("connection refused", "why", "too many connections (limits.connections)", "remote", c.remote())
	}
}

// closeDisplaced closes a connection that had to make room for a newer one.
func (r *loginLog) closeDisplaced(c *connection) {
	c.Close()
	if r.displacedConns.allow(c.network) {
		r.server.Log.Warn("connection closed", "why", "too many unauthenticated connections (limits.unauthenticated)", "remote", c.remote())
	}
}

// recordFailure records a handshake that failed with err. A client that has tried no key only looked whether anybody is there. One
// whose signature is not that of the key it was accepted with is the most serious: it shows the public key of a user.
func (r *loginLog) recordFailure(c *connection, err error) {
	tried, accepted := c.attempts()
	var none *gossh.AlgorithmNegotiationError
	switch {
	case accepted != nil && !c.authenticated.Load() && !isDisconnect(err):
		r.recordRefused(c, r.forgedLogins, "login with a forged signature", *accepted, err)
	case isTooManyConnections(err) && accepted != nil:
		r.recordRefused(c, r.failedLogins, "login refused", *accepted, errTooManyConnections)
	case accepted != nil:
		r.recordRefused(c, r.failedLogins, "login failed", *accepted, errors.New("the client did not prove the key that it offered"))
	case len(tried) > 0:
		words := make([]string, len(tried))
		for i, a := range tried {
			words[i] = a.key
			if a.login != tried[0].login {
				words[i] += " as " + a.login
			}
		}
		r.recordRefused(c, r.failedLogins, "login failed", tried[0], errors.New("no such user with that key: "+strings.Join(words, ", ")))
	case errors.As(err, &none):
		if r.badHandshakes.allow(c.network) {
			r.server.Log.Info("handshake failed", "remote", c.remote(), "error", truncateText(err.Error()))
		}
	}
}

func (r *loginLog) recordRefused(c *connection, t *logThrottle, what string, tried loginAttempt, why error) {
	if !t.allow(c.network) {
		return
	}
	level := r.server.Log.Info
	if t == r.forgedLogins {
		level = r.server.Log.Warn
	}
	text := truncateText(why.Error())
	level(what, "remote", c.remote(), "login", tried.login, "key", tried.key, "error", text)
	r.server.record(audit.Event{
		Kind: audit.LoginRefused, Time: c.start.UTC(), Connection: c.id, User: tried.login, Key: tried.key, Remote: c.remote(),
		Command: []string{}, Decision: audit.Denied, Error: what + ": " + text, Duration: time.Since(c.start).Seconds(),
	})
}

// isTooManyConnections reports whether a client that has proven a key was refused for want of a slot.
func isTooManyConnections(err error) bool {
	var tried *gossh.ServerAuthError
	return errors.As(err, &tried) && slices.Contains(tried.Errors, errTooManyConnections)
}

// isDisconnect reports whether a handshake failed because the connection ended, or because the client had no more keys.
func isDisconnect(err error) bool {
	var tried *gossh.ServerAuthError
	var network net.Error
	return errors.As(err, &tried) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		strings.HasPrefix(err.Error(), "ssh: disconnect")
}

const maxErrorText = 600 // bytes

// truncateText returns the beginning of a text that may hold what an unknown client sent.
func truncateText(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// recordLogin records that a user has logged in, and returns what records that the connection has ended.
func (s *Server) recordLogin(c *connection, conn *gossh.ServerConn) (disconnected func()) {
	login, key, err := provenIdentity(conn)
	if err != nil {
		return func() {}
	}
	event := audit.Event{
		Kind: audit.Login, Time: time.Now().UTC(), Connection: c.id, User: login, Key: fingerprint(key), Remote: c.remote(),
		Command: []string{}, Decision: audit.Allowed,
	}
	if why := c.sessionsRefused(); why != nil {
		event.Decision, event.Error = audit.Denied, why.Error()
	}
	s.record(event)
	return func() {
		event.Kind, event.Duration = audit.Disconnect, time.Since(event.Time).Seconds()
		event.Time = time.Now().UTC()
		s.record(event)
	}
}

func (s *Server) record(event audit.Event) {
	if s.Record == nil {
		return
	}
	defer s.recoverPanic("audit", event.Remote)
	s.Record(event)
}
