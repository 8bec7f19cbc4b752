package sshd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
)

// connection is the TCP connection of a client with its state.
type connection struct {
	net.Conn
	writer          coalescer
	id              string
	network         netip.Prefix
	start           time.Time
	limits          Limits
	sessions        atomic.Int32                 // open, including those that will be refused
	sessionCount    atomic.Int32                 // opened so far
	authenticated   atomic.Bool                  // the client has proven a key
	ofProxy         bool                         // opened by a proxy for itself, as a health check; see setClient
	displaced       atomic.Bool                  // the gateway has closed it in favour of a newer one
	timedOut        atomic.Bool                  // the deadline has closed it
	unansweredBytes atomic.Int32                 // bytes read since the gateway last wrote
	backlog         *inputBacklog                // of all connections
	meter           atomic.Pointer[backlogMeter] // nil until the client has logged in
	loginRecheck    chan struct{}                // see recheckLogin

	// For the handshake; used only by the goroutine that reads, except ownVersionLeft.
	greeting        []byte        // bytes that exchangeVersions has read and the library has not
	versionLineLeft int           // bytes of the client's version line in greeting
	packets         packetCounter // counts the packets that the library reads after that line
	ownVersionLeft  int           // bytes of the gateway's version line that the library has yet to write
	onExchange      func()        // called once, when the client has started the key exchange

	mu              sync.Mutex // guards the fields below
	closed          bool
	deadline        *time.Timer // closes the connection; for handshake, first command, refusal or stop
	idle            *time.Timer // nil: no idle timeout
	lastActive      time.Time   // for the idle timeout
	idleWarned      bool        // the idle timer runs for the second time; see idleFired
	endsAt          time.Time   // when the lifetime ends; zero: not soon
	channels        map[*channel]struct{}
	owner           string         // login with the proven key
	subjects        []subject      // for which the connection and its sessions are counted; nil before the login
	firstLogin      string         // login of the first attempt
	refusedAttempts []loginAttempt // logins and keys that were refused
	acceptedAttempt *loginAttempt  // the last login and key that the client may prove
	sessionRefusal  error          // reason why no session may run a command
}

// loginAttempt is a login and a key, sent by an unauthenticated client.
type loginAttempt struct {
	login  string
	key    string             // fingerprint
	cert   *audit.Certificate // nil: a key
	reason string             // why it was refused
}

// newConnection returns the state of a new client. It closes the connection after the greeting timeout.
func newConnection(conn net.Conn, limits Limits) *connection {
	var id [4]byte
	rand.Read(id[:])
	c := &connection{
		Conn: conn, writer: coalescer{conn: conn}, id: hex.EncodeToString(id[:]), network: networkOf(conn.RemoteAddr()),
		start: time.Now(), limits: limits, channels: map[*channel]struct{}{}, backlog: newInputBacklog(),
		loginRecheck: make(chan struct{}, 1),
	}
	c.mu.Lock() // the timer may fire at once
	defer c.mu.Unlock()
	c.deadline = time.AfterFunc(min(limits.GreetingTimeout, limits.HandshakeTimeout), func() {
		c.timedOut.Store(true)
		c.Close()
	})
	return c
}

func (c *connection) remote() string { return c.RemoteAddr().String() }

func (c *connection) nextSessionID() string { return fmt.Sprintf("%s-%d", c.id, c.sessionCount.Add(1)) }

// extendHandshake restarts the deadline for the rest of the handshake. The user may have to confirm a prompt.
func (c *connection) extendHandshake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.authenticated.Load() {
		c.deadline.Reset(max(0, c.limits.HandshakeTimeout-time.Since(c.start)))
	}
}

// markAuthenticated assigns the connection to a user and ends the handshake timeout. The client must start a command
// before FirstCommandTimeout.
func (c *connection) markAuthenticated(login string, subjects []subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner, c.subjects = login, subjects
	c.meter.Store(newBacklogMeter(c.backlog, login))
	c.authenticated.Store(true)
	if c.closed {
		c.meter.Load().close()
		return
	}
	c.deadline.Reset(c.limits.FirstCommandTimeout)
	if c.limits.IdleTimeout > 0 {
		c.lastActive = time.Now()
		c.idle = time.AfterFunc(c.limits.idleBeforeWarning(), c.idleFired)
	}
}

// countedFor returns the user and the prefix groups for which the connection is counted, or nil before the login.
func (c *connection) countedFor() []subject {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subjects
}

// refuseSessions makes all commands on this connection fail with the error why. The connection is closed after a
// short time.
func (c *connection) refuseSessions(why error) {
	const reportTimeout = 10 * time.Second
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessionRefusal = why
	if !c.closed {
		c.deadline.Reset(reportTimeout)
	}
}

// refusal returns the error for all commands on this connection, or nil.
func (c *connection) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionRefusal
}

// markActive restarts the idle timeout. Keepalives do not count as activity.
func (c *connection) markActive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle != nil && !c.closed {
		c.lastActive, c.idleWarned = time.Now(), false
		c.idle.Reset(c.limits.idleBeforeWarning())
	}
}

// markCommandStarted records that a session has started a command.
func (c *connection) markCommandStarted() {
	c.mu.Lock()
	if c.sessionRefusal == nil && !c.closed {
		c.deadline.Stop()
	}
	c.mu.Unlock()
	c.markActive()
}

func (c *connection) addChannel(ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels[ch] = struct{}{}
}

func (c *connection) removeChannel(ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.channels, ch)
}

// Close closes the connection. It may be called more than once.
func (c *connection) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.deadline.Stop()
		if c.idle != nil {
			c.idle.Stop()
		}
		if m := c.meter.Load(); m != nil {
			m.close()
		}
	}
	return c.Conn.Close()
}

const (
	maxUnansweredBytes = 400 // less than the queue of x/crypto: 16 packets of 28 bytes
	unansweredPause    = time.Millisecond
)

// Read slows down an unauthenticated client that sends without waiting for responses. x/crypto queues 16 packets of 28
// bytes or more, and leaks its goroutines if the handshake fails while the queue is full. Read delays the first packet
// of an honest client by a few milliseconds.
func (c *connection) Read(p []byte) (int, error) {
	if m := c.meter.Load(); m != nil && len(c.greeting) == 0 {
		m.waitForRoom()
		n, err := c.Conn.Read(p)
		if !m.received(n) {
			c.Close()
			return 0, errInputAfterEOF
		}
		return n, err
	}
	n, err := c.readUnauthenticated(p)
	if before := c.packets.complete; c.onExchange != nil {
		line := min(n, c.versionLineLeft)
		c.versionLineLeft -= line
		c.packets.add(p[line:n])
		// The first packet is KEXINIT, the second the client's key share.
		if before < 2 && c.packets.complete >= 2 {
			c.onExchange()
			c.onExchange = nil
		}
	}
	return n, err
}

// readUnauthenticated reads from the greeting, then from the client. It delays clients that send too much.
func (c *connection) readUnauthenticated(p []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	if c.unansweredBytes.Load() >= maxUnansweredBytes {
		time.Sleep(unansweredPause)
		c.unansweredBytes.Store(0)
	}
	n, err := c.Conn.Read(p[:min(len(p), maxUnansweredBytes)])
	c.unansweredBytes.Add(int32(n))
	return n, err
}

// Write writes to the client. It drops the gateway's version line, which exchangeVersions has already written.
func (c *connection) Write(p []byte) (int, error) {
	if c.ownVersionLeft > 0 {
		n := min(c.ownVersionLeft, len(p))
		c.ownVersionLeft -= n
		return n, nil
	}
	c.unansweredBytes.Store(0)
	return c.writer.Write(p)
}

var errInputAfterEOF = errors.New("the client sent data after EOF")

// writeSession writes the output of a session to w, which writes to the connection.
func (c *connection) writeSession(w io.Writer, p []byte) (int, error) {
	c.markActive()
	return c.writeWithoutActivity(w, p)
}

// writeWithoutActivity is writeSession for a message of the gateway, which is not activity of the user.
func (c *connection) writeWithoutActivity(w io.Writer, p []byte) (int, error) {
	if m := c.meter.Load(); m != nil {
		m.sent(len(p))
	}
	if len(p) <= maxSmallWrite {
		n, err := w.Write(p)
		if failure := c.writer.flush(); err == nil { // another session may be writing to a slow client
			err = failure
		}
		return n, err
	}
	c.writer.startWrite()
	n, err := w.Write(p)
	if failure := c.writer.finishWrite(); err == nil {
		err = failure
	}
	return n, err
}

const (
	maxRefused = 8   // remembered attempts; x/crypto allows 6
	maxLogin   = 256 // bytes; config allows 64 characters
)

// newLoginAttempt returns an attempt of an unauthenticated client. It truncates the login.
func newLoginAttempt(login string, key gossh.PublicKey) loginAttempt {
	if len(login) > maxLogin {
		login = strings.ToValidUTF8(login[:maxLogin], "") + "..."
	}
	return loginAttempt{login: login, key: fingerprintOf(key), cert: audit.NewCertificate(key)}
}

// sameLogin reports whether the client has used only this login.
func (c *connection) sameLogin(login string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstLogin == "" {
		c.firstLogin = login
	}
	return c.firstLogin == login
}

func (c *connection) addRefused(a loginAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(b loginAttempt) bool { return a.login == b.login && a.key == b.key && a.reason == b.reason }
	if len(c.refusedAttempts) < maxRefused && !slices.ContainsFunc(c.refusedAttempts, same) {
		c.refusedAttempts = append(c.refusedAttempts, a)
	}
}

func (c *connection) setAccepted(a loginAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acceptedAttempt = &a
}

// attempts returns the refused attempts and the last accepted one, or nil.
func (c *connection) attempts() (refused []loginAttempt, accepted *loginAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refusedAttempts), c.acceptedAttempt
}

// keepAlive sends a keepalive an interval after the last response, until ctx ends. It closes the connection if the
// keepalive is unanswered for three intervals: a closed laptop must not leave a command running for hours. While
// reading is paused, a response would not be seen, so keepAlive only checks that it can send.
func (s *Server) keepAlive(ctx context.Context, c *connection, conn *gossh.ServerConn) {
	const keepalive = "keepalive@openssh.com"
	responses := make(chan struct{}, 1)
	unanswered := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-responses:
			unanswered = 0
		case <-time.After(c.limits.KeepaliveInterval):
			switch {
			case unanswered == 0:
				unanswered++
				s.goRecover("keepalive", c, func() {
					if _, _, err := conn.SendRequest(keepalive, true, nil); err == nil {
						responses <- struct{}{}
					}
				})
			case unanswered < 3:
				unanswered++
			case c.meter.Load().paused.Load():
				if _, _, err := conn.SendRequest(keepalive, false, nil); err != nil {
					conn.Close()
					return
				}
			default:
				conn.Close()
				return
			}
		}
	}
}
