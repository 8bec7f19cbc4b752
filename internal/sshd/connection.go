package sshd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// connection is a client's TCP connection with what the gateway knows of it.
type connection struct {
	net.Conn
	writer          coalescer
	id              string
	network         netip.Prefix
	start           time.Time
	limits          Limits
	sessions        atomic.Int32                 // open now, those about to be refused included
	sessionCount    atomic.Int32                 // opened so far
	authenticated   atomic.Bool                  // the client has proven a key
	unansweredBytes atomic.Int32                 // bytes read since the gateway last wrote
	backlog         *inputBacklog                // of all connections
	meter           atomic.Pointer[backlogMeter] // nil until the client has proven a key

	// Of the handshake; for the goroutine that reads.
	greeting        []byte        // read, and not yet read by the library
	versionLineLeft int           // bytes of the client's version line in it
	packets         packetCounter // of what the library has read after that line
	ownVersionLeft  int           // bytes of the gateway's version line that the library has still to write
	onExchange      func()        // called once the client has begun to exchange keys

	mu              sync.Mutex // guards what follows
	closed          bool
	deadline        *time.Timer // of the handshake, then of the first command
	idle            *time.Timer // nil: it may be idle for ever
	channels        map[*channel]struct{}
	owner           string         // the login whose key was proven
	firstLogin      string         // of the first attempt to log in
	refusedAttempts []loginAttempt // what the client tried to log in with
	acceptedAttempt *loginAttempt  // the last key that it might prove
	sessionRefusal  error          // why no session of it may run a command
}

// loginAttempt is a login and the fingerprint of a key, as a client that has proven nothing sent them.
type loginAttempt struct{ login, key string }

func newConnection(conn net.Conn, limits Limits) *connection {
	var id [4]byte
	rand.Read(id[:])
	c := &connection{
		Conn: conn, writer: coalescer{conn: conn}, id: hex.EncodeToString(id[:]), network: networkOf(conn.RemoteAddr()),
		start: time.Now(), limits: limits, channels: map[*channel]struct{}{}, backlog: newInputBacklog(),
	}
	c.mu.Lock() // against a timer that strikes at once
	defer c.mu.Unlock()
	c.deadline = time.AfterFunc(min(limits.GreetingTimeout, limits.HandshakeTimeout), func() { c.Close() })
	return c
}

func (c *connection) remote() string { return c.RemoteAddr().String() }

func (c *connection) nextSessionID() string { return fmt.Sprintf("%s-%d", c.id, c.sessionCount.Add(1)) }

// extendHandshake gives the client the rest of the time for a handshake, in which a person may have to answer questions.
func (c *connection) extendHandshake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.authenticated.Load() {
		c.deadline.Reset(max(0, c.limits.HandshakeTimeout-time.Since(c.start)))
	}
}

// markAuthenticated makes the connection a user's and ends the handshake's time limit. From now on the client has to start a command in
// time.
func (c *connection) markAuthenticated(login string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = login
	c.meter.Store(newBacklogMeter(c.backlog, login))
	c.authenticated.Store(true)
	if c.closed {
		c.meter.Load().close()
		return
	}
	c.deadline.Reset(c.limits.FirstCommandTimeout)
	if c.limits.IdleTimeout > 0 {
		c.idle = time.AfterFunc(c.limits.IdleTimeout, c.expire)
	}
}

// user returns the login whose key was proven; empty: none was.
func (c *connection) user() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner
}

// refuseSessions says why no command may run on this connection. It stays open for as long as it takes to say so.
func (c *connection) refuseSessions(why error) {
	const toSay = 10 * time.Second
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessionRefusal = why
	if !c.closed {
		c.deadline.Reset(toSay)
	}
}

func (c *connection) sessionsRefused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionRefusal
}

// markActive notes that a session has begun a command or moved data. Keepalives do not count.
func (c *connection) markActive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle != nil && !c.closed {
		c.idle.Reset(c.limits.IdleTimeout)
	}
}

// markCommandStarted notes that a session has begun a command.
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

// expire closes the connection on which nothing has moved for too long. A command without a terminal may well be silent
// for hours, so while one runs the connection is not idle. Commands with a terminal are ended, and the user is told.
func (c *connection) expire() {
	c.mu.Lock()
	channels := slices.Collect(maps.Keys(c.channels))
	c.mu.Unlock()
	var running []*channel
	for _, ch := range channels {
		if terminal, _, _ := ch.settings(); ch.hasStarted() {
			if terminal == nil {
				c.markActive()
				return
			}
			running = append(running, ch)
		}
	}
	if len(running) == 0 {
		c.Close()
		return
	}
	for _, ch := range running {
		ch.cancel(fmt.Errorf("closed: nothing was typed or printed for %s (limits.idle)", c.limits.IdleTimeout))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.deadline.Reset(c.limits.StopGrace)
	}
}

// Close closes the connection; once is enough, more does no harm.
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
	maxUnansweredBytes = 400 // bytes
	unansweredPause    = time.Millisecond
)

// Read holds back a client that has not proven a key and talks on without waiting for answers. x/crypto queues 16
// packets (of 28 bytes or more) and never gives up its goroutines when the handshake fails while the queue is full.
// An honest client feels it in its first packet, by a few milliseconds.
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
	n, err := c.readUnproven(p)
	if before := c.packets.complete; c.onExchange != nil {
		line := min(n, c.versionLineLeft)
		c.versionLineLeft -= line
		c.packets.add(p[line:n])
		// The first packet is what the client can, the second its share of the key.
		if before < 2 && c.packets.complete >= 2 {
			c.onExchange()
			c.onExchange = nil
		}
	}
	return n, err
}

func (c *connection) readUnproven(p []byte) (int, error) {
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

// Write writes to the client, but for the gateway's version line, which greet has written already.
func (c *connection) Write(p []byte) (int, error) {
	if c.ownVersionLeft > 0 {
		n := min(c.ownVersionLeft, len(p))
		c.ownVersionLeft -= n
		return n, nil
	}
	c.unansweredBytes.Store(0)
	return c.writer.Write(p)
}

var errInputAfterEOF = errors.New("the client sends more after the end of a session's input")

// writeSession writes what a session says to w, which writes it to the connection, and notes that data has moved.
func (c *connection) writeSession(w io.Writer, p []byte) (int, error) {
	c.markActive()
	if m := c.meter.Load(); m != nil {
		m.sent(len(p))
	}
	if len(p) <= maxSmallWrite {
		n, err := w.Write(p)
		if failure := c.writer.flush(); err == nil { // another session may be writing more, and its client be slow
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
	maxRefused = 8  // attempts to log in that are remembered; x/crypto allows 6
	maxLogin   = 64 // bytes of a login that are remembered; no user's is longer
)

// newLoginAttempt returns an attempt of a client that has proven nothing, cut to what can be one.
func newLoginAttempt(login, fingerprint string) loginAttempt {
	if len(login) > maxLogin {
		login = strings.ToValidUTF8(login[:maxLogin], "") + "..."
	}
	return loginAttempt{login, fingerprint}
}

// sameLogin reports whether a client has tried no other login before.
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
	if len(c.refusedAttempts) < maxRefused && !slices.Contains(c.refusedAttempts, a) {
		c.refusedAttempts = append(c.refusedAttempts, a)
	}
}

func (c *connection) setAccepted(a loginAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acceptedAttempt = &a
}

// attempts returns the keys that were refused, and the last one that was accepted for proof; nil: none was.
func (c *connection) attempts() (refused []loginAttempt, accepted *loginAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refusedAttempts), c.acceptedAttempt
}

// keepAlive asks the client every interval whether it is there, and closes the connection when a question has
// stayed unanswered for three intervals: a laptop that was closed must not leave a command behind for hours. Where nothing
// is read from the client, which may have answered, it is only looked whether its connection holds. It ends with the
// connection's context.
func (s *Server) keepAlive(ctx context.Context, c *connection, conn *gossh.ServerConn) {
	const question = "keepalive@openssh.com"
	answers := make(chan struct{}, 1)
	waited := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-answers:
			waited = 0
		case <-time.After(s.Limits.KeepaliveInterval):
			switch {
			case waited == 0:
				waited++
				s.goRecover("keepalive", c, func() {
					if _, _, err := conn.SendRequest(question, true, nil); err == nil {
						answers <- struct{}{}
					}
				})
			case waited < 3:
				waited++
			case c.meter.Load().paused.Load():
				if _, _, err := conn.SendRequest(question, false, nil); err != nil {
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
