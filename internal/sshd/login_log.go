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

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/metrics"
	"nomadctld/router"
)

// loginLog records failed logins in the log and the audit log. Client data is truncated and records are throttled, so
// that clients cannot fill the logs.
type loginLog struct {
	server *Server

	overLimit, badProxyHeaders, penalized, displacedConns, badHandshakes, failedLogins, forgedLogins *logThrottle
}

func newLoginLog(s *Server) loginLog {
	l := loginLog{server: s}
	summary := func(event string) func(suppressed, networks int) {
		return func(suppressed, networks int) {
			s.Log.Warn(event, "suppressed", suppressed, "networks", networks)
		}
	}
	audited := func(event string) func(suppressed, networks int) {
		return func(suppressed, networks int) {
			summary(event)(suppressed, networks)
			s.record(audit.Event{
				Kind: audit.LoginRefused, Time: time.Now().UTC(), Command: []string{}, Decision: audit.Denied,
				Error: fmt.Sprintf("%s: %d more, not recorded individually (networks: %d)",
					event, suppressed, networks),
			})
		}
	}
	l.overLimit = newLogThrottle(summary("connection refused"))
	l.badProxyHeaders = newLogThrottle(summary("connection refused: no PROXY header"))
	l.penalized = newLogThrottle(summary("connection refused after failed logins"))
	l.displacedConns = newLogThrottle(summary("connection closed"))
	l.badHandshakes = newLogThrottle(summary("handshake failed"))
	l.failedLogins = newLogThrottle(audited("login failed"))
	l.forgedLogins = newLogThrottle(audited("login with a forged signature"))
	return l
}

// flush reports the suppressed events so far.
func (l *loginLog) flush() {
	for _, t := range []*logThrottle{
		l.overLimit, l.badProxyHeaders, l.penalized, l.displacedConns, l.badHandshakes, l.failedLogins, l.forgedLogins,
	} {
		t.flush()
	}
}

// recordConnectionLimit records a connection that was closed because there are too many: over limits.connections, or
// whose PROXY header has not arrived.
func (l *loginLog) recordConnectionLimit(c *connection) {
	l.server.Metrics.ConnectionRefused(metrics.RefusedByLimit)
	if l.overLimit.allow(c.network) {
		l.server.Log.Warn("connection refused",
			"why", "too many connections (limits.connections)", "remote", c.remote())
	}
}

// recordProxyHeader records a proxy's connection that does not start with a header.
func (l *loginLog) recordProxyHeader(c *connection, err error) {
	l.server.Metrics.ConnectionRefused(metrics.NoProxyHeader)
	if l.badProxyHeaders.allow(c.network) {
		l.server.Log.Warn("connection refused", "why",
			"no PROXY header from a proxy (general.proxy); turn on the PROXY protocol in the proxy", "remote", c.remote(),
			"error", err)
	}
}

// refusePenalized closes a connection whose network has a penalty. The client gets the line that sshd sends.
func (l *loginLog) refusePenalized(c *connection) {
	const line = "Not allowed at this time\r\n"
	l.server.Metrics.ConnectionRefused(metrics.Penalized)
	if l.penalized.allow(c.network) {
		l.server.Log.Warn("connection refused", "why", "logins from this address failed (limits.penalties)",
			"remote", c.remote(), "for", wholeSeconds(l.server.penalties.left(c.network)))
	}
	c.SetWriteDeadline(time.Now().Add(time.Second)) // the buffer of a new connection has room
	io.WriteString(c.Conn, line)
	c.Close()
}

// closeDisplaced closes a connection in favour of a newer one, and logs that.
func (l *loginLog) closeDisplaced(c *connection) {
	l.server.Metrics.ConnectionRefused(metrics.Displaced)
	c.Close()
	if l.displacedConns.allow(c.network) {
		l.server.Log.Warn("connection closed",
			"why", "too many unauthenticated connections (limits.maxstartups)", "remote", c.remote())
	}
}

// recordFailure records a failed handshake. Of clients that offered no key, only failed negotiations are logged. A
// wrong signature for an accepted key is the most serious: somebody presents a user's public key.
func (l *loginLog) recordFailure(c *connection, err error) {
	tried, accepted := c.attempts()
	reason := metrics.NoKeyOffered
	defer func() {
		l.server.Metrics.LoginFailed(reason)
		l.server.penalize(c, reason)
	}()
	var noCommon *gossh.AlgorithmNegotiationError
	switch {
	case accepted != nil && err.Error() == untouchedText:
		reason = metrics.RefusedKey
		l.recordRefused(c, l.failedLogins, "login failed", *accepted, errUntouched)
	case accepted != nil && !c.authenticated.Load() && !isDisconnect(err):
		reason = metrics.ForgedSignature
		l.recordRefused(c, l.forgedLogins, "login with a forged signature", *accepted, err)
	case isTooManyConnections(err) && accepted != nil:
		reason = metrics.UserLimit
		l.recordRefused(c, l.failedLogins, "login refused", *accepted, errTooManyConnections)
	case accepted != nil:
		reason = metrics.NotSigned
		l.recordRefused(c, l.failedLogins, "login failed", *accepted,
			errors.New("the client offered a public key but did not sign with the private key"))
	case len(tried) > 0:
		attempt, why := describeRefused(tried)
		if reason = metrics.UnknownKey; attempt.reason != acl.ErrNoSuchUser.Error() {
			reason = metrics.RefusedKey
		}
		l.recordRefused(c, l.failedLogins, "login failed", attempt, why)
	case errors.As(err, &noCommon):
		reason = metrics.NoCommonAlgorithm
		if l.badHandshakes.allow(c.network) {
			l.server.Log.Info("handshake failed", "remote", c.remote(), "error", truncateText(err.Error()))
		}
	}
}

// untouchedText is the library's error for a signature that states that nobody touched the security key. The library
// has not checked the rest of the signature. Keys that need no touch make such signatures, so it is not a forgery.
const untouchedText = "ssh: signature missing required user presence flag"

var errUntouched = errors.New("the security key was not touched (no-touch-required)")

// describeRefused returns the attempt that explains a failed login best, and the reasons. Clients offer all their keys,
// so an attempt with a certificate or a known key comes first, with its own reason.
func describeRefused(tried []loginAttempt) (loginAttempt, error) {
	unknown := acl.ErrNoSuchUser.Error()
	var keys, reasons []string
	best := tried[0]
	for _, a := range tried {
		key := a.key
		if a.login != tried[0].login {
			key += " as " + a.login
		}
		if a.reason == unknown {
			keys = append(keys, key)
			continue
		}
		if len(reasons) == 0 {
			best = a
		}
		reasons = append(reasons, a.reason+": "+key)
	}
	if len(keys) > 0 {
		reasons = append(reasons, unknown+": "+strings.Join(keys, ", "))
	}
	return best, errors.New(strings.Join(reasons, "; "))
}

// recordRefused writes a refused login to the log and the audit log.
func (l *loginLog) recordRefused(c *connection, t *logThrottle, event string, tried loginAttempt, why error) {
	if !t.allow(c.network) {
		return
	}
	logEvent := l.server.Log.Info
	if t == l.forgedLogins {
		logEvent = l.server.Log.Warn
	}
	decision := audit.Denied
	if errors.Is(why, errTooManyConnections) {
		decision = audit.Failed
	}
	text := truncateText(why.Error())
	args := []any{"remote", c.remote(), "login", tried.login, "key", tried.key}
	if cert := tried.cert; cert != nil {
		args = append(args, "serial", cert.Serial, "key_id", cert.KeyID, "ca", cert.CA)
	}
	logEvent(event, append(args, "error", text)...)
	l.server.record(audit.Event{
		Kind: audit.LoginRefused, Time: c.start.UTC(), Connection: c.id,
		User: tried.login, Key: tried.key, Certificate: tried.cert, Remote: c.remote(), Command: []string{},
		Decision: decision, Error: event + ": " + text,
	})
}

// isTooManyConnections reports whether a client with a proven key was refused because of a connection limit.
func isTooManyConnections(err error) bool {
	var tried *gossh.ServerAuthError
	return errors.As(err, &tried) && slices.Contains(tried.Errors, errTooManyConnections)
}

// isDisconnect reports whether a handshake failed because the client disconnected or had no more keys.
func isDisconnect(err error) bool {
	var tried *gossh.ServerAuthError
	var network net.Error
	return errors.As(err, &tried) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		strings.HasPrefix(err.Error(), "ssh: disconnect")
}

const maxErrorText = 600 // bytes

// truncateText returns the start of a text that may contain data of an unknown client.
func truncateText(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// recordLogin records a login, and returns a function that records the disconnect.
func (s *Server) recordLogin(c *connection, conn *gossh.ServerConn) (disconnected func()) {
	login, key, err := provenIdentity(conn)
	if err != nil {
		return func() {}
	}
	fingerprint, cert := describeKey(key)
	s.Metrics.LoggedIn()
	event := audit.Event{
		Kind: audit.Login, Time: time.Now().UTC(), Connection: c.id,
		User: login, Key: fingerprint, Certificate: cert, Remote: c.remote(),
		Command: []string{}, Decision: audit.Allowed,
	}
	if why := c.refusal(); why != nil {
		event.Decision, event.Error = router.RefusalDecision(why), why.Error()
	}
	s.record(event)
	return func() {
		event.Kind, event.Time = audit.Disconnect, time.Now().UTC()
		s.record(event)
	}
}

// record writes an audit event. It recovers panics of Record.
func (s *Server) record(event audit.Event) {
	if s.Record == nil {
		return
	}
	defer s.recoverPanic("audit", event.Remote)
	s.Record(event)
}
