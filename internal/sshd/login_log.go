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

// refusals records what became of clients that did not log in, in the log and in the audit log. What such clients send is
// cut, and how much is recorded of it does not grow with their number.
type refusals struct {
	server *Server

	full, stalled, strange, refused, forged *throttle
}

func newRefusals(s *Server) refusals {
	r := refusals{server: s}
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
	r.full = newThrottle(summary("connection refused"))
	r.stalled = newThrottle(summary("connection closed"))
	r.strange = newThrottle(summary("handshake failed"))
	r.refused = newThrottle(audited("login failed"))
	r.forged = newThrottle(audited("login with a forged signature"))
	return r
}

// flush reports what was kept back so far.
func (r *refusals) flush() {
	for _, t := range []*throttle{r.full, r.stalled, r.strange, r.refused, r.forged} {
		t.flush()
	}
}

// crowded records a connection for which there is no slot.
func (r *refusals) crowded(c *connection) {
	if r.full.allow(c.network) {
		r.server.Log.Warn("connection refused", "why", "too many connections (limits.connections)", "remote", c.remote())
	}
}

// displaced closes a connection that had to make room for a newer one.
func (r *refusals) displaced(c *connection) {
	c.Close()
	if r.stalled.allow(c.network) {
		r.server.Log.Warn("connection closed", "why", "too many unauthenticated connections (limits.unauthenticated)", "remote", c.remote())
	}
}

// failed records a handshake that failed with err. A client that has tried no key only looked whether anybody is there. One
// whose signature is not that of the key it was accepted with is the most serious: it shows the public key of a user.
func (r *refusals) failed(c *connection, err error) {
	tried, accepted := c.attempts()
	var none *gossh.AlgorithmNegotiationError
	switch {
	case accepted != nil && !c.proven.Load() && !leftEarly(err):
		r.login(c, r.forged, "login with a forged signature", *accepted, err)
	case lacksRoom(err) && accepted != nil:
		r.login(c, r.refused, "login refused", *accepted, errCrowded)
	case accepted != nil:
		r.login(c, r.refused, "login failed", *accepted, errors.New("the client did not prove the key that it offered"))
	case len(tried) > 0:
		words := make([]string, len(tried))
		for i, a := range tried {
			words[i] = a.key
			if a.login != tried[0].login {
				words[i] += " as " + a.login
			}
		}
		r.login(c, r.refused, "login failed", tried[0], errors.New("no such user with that key: "+strings.Join(words, ", ")))
	case errors.As(err, &none):
		if r.strange.allow(c.network) {
			r.server.Log.Info("handshake failed", "remote", c.remote(), "error", cutText(err.Error()))
		}
	}
}

func (r *refusals) login(c *connection, t *throttle, what string, tried attempt, why error) {
	if !t.allow(c.network) {
		return
	}
	level := r.server.Log.Info
	if t == r.forged {
		level = r.server.Log.Warn
	}
	text := cutText(why.Error())
	level(what, "remote", c.remote(), "login", tried.login, "key", tried.key, "error", text)
	r.server.record(audit.Event{
		Kind: audit.LoginRefused, Time: c.begun.UTC(), Connection: c.id, User: tried.login, Key: tried.key, Remote: c.remote(),
		Command: []string{}, Decision: audit.Denied, Error: what + ": " + text, Duration: time.Since(c.begun).Seconds(),
	})
}

// lacksRoom reports whether a client that has proven a key was refused for want of a slot.
func lacksRoom(err error) bool {
	var tried *gossh.ServerAuthError
	return errors.As(err, &tried) && slices.Contains(tried.Errors, errCrowded)
}

// leftEarly reports whether a handshake failed because the connection ended, or because the client had no more keys.
func leftEarly(err error) bool {
	var tried *gossh.ServerAuthError
	var network net.Error
	return errors.As(err, &tried) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		strings.HasPrefix(err.Error(), "ssh: disconnect")
}

const maxErrorText = 600 // bytes

// cutText returns the beginning of a text that may hold what an unknown client sent.
func cutText(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// recordLogin records that a user has logged in, and returns what records that the connection has ended.
func (s *Server) recordLogin(c *connection, conn *gossh.ServerConn) (disconnected func()) {
	login, key, err := identity(conn)
	if err != nil {
		return func() {}
	}
	event := audit.Event{
		Kind: audit.Login, Time: time.Now().UTC(), Connection: c.id, User: login, Key: fingerprint(key), Remote: c.remote(),
		Command: []string{}, Decision: audit.Allowed,
	}
	if why := c.crowded(); why != nil {
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
	defer s.recovered("audit", event.Remote)
	s.Record(event)
}
