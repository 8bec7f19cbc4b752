package sshd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	out      sender
	id       string
	network  netip.Prefix
	begun    time.Time
	limits   Limits
	sessions atomic.Int32 // open now, those about to be refused included
	numbered atomic.Int32 // opened so far
	proven   atomic.Bool  // the client has proven a key
	unheard  atomic.Int32 // bytes read since the gateway last wrote

	// Of the handshake; for the goroutine that reads.
	greeting []byte        // read, and not yet read by the library
	skip     int           // bytes of the client's version line in it
	packets  packetCounter // of what the library has read after that line
	own      int           // bytes of the gateway's version line that the library has still to write
	exchange func()        // called once the client has begun to exchange keys

	mu       sync.Mutex // guards what follows
	closed   bool
	deadline *time.Timer // of the handshake, then of the first command
	idle     *time.Timer // nil: it may be idle for ever
	channels map[*channel]struct{}
	owner    string    // the login whose key was proven
	login    string    // of the first attempt to log in
	refused  []attempt // what the client tried to log in with
	accepted *attempt  // the last key that it might prove
	over     error     // why no session of it may run a command
}

// attempt is a login and the fingerprint of a key, as a client that has proven nothing sent them.
type attempt struct{ login, key string }

func newConnection(conn net.Conn, limits Limits) *connection {
	var id [4]byte
	rand.Read(id[:])
	c := &connection{
		Conn: conn, out: sender{conn: conn}, id: hex.EncodeToString(id[:]), network: networkOf(conn.RemoteAddr()),
		begun: time.Now(), limits: limits, channels: map[*channel]struct{}{},
	}
	c.mu.Lock() // against a timer that strikes at once
	defer c.mu.Unlock()
	c.deadline = time.AfterFunc(min(limits.Greeting, limits.Handshake), func() { c.Close() })
	return c
}

func (c *connection) remote() string { return c.RemoteAddr().String() }

func (c *connection) nextSession() string { return fmt.Sprintf("%s-%d", c.id, c.numbered.Add(1)) }

// exchanging gives the client the rest of the time for a handshake, in which a person may have to answer questions.
func (c *connection) exchanging() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.proven.Load() {
		c.deadline.Reset(max(0, c.limits.Handshake-time.Since(c.begun)))
	}
}

// prove makes the connection a user's and ends the handshake's time limit. From now on the client has to start a command in
// time.
func (c *connection) prove(login string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = login
	c.proven.Store(true)
	if c.closed {
		return
	}
	c.deadline.Reset(c.limits.FirstCommand)
	if c.limits.Idle > 0 {
		c.idle = time.AfterFunc(c.limits.Idle, c.expire)
	}
}

// user returns the login whose key was proven; empty: none was.
func (c *connection) user() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner
}

// crowd says why no command may run on this connection. It stays open for as long as it takes to say so.
func (c *connection) crowd(why error) {
	const toSay = 10 * time.Second
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = why
	if !c.closed {
		c.deadline.Reset(toSay)
	}
}

func (c *connection) crowded() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// active notes that a session has begun a command or moved data. Keepalives do not count.
func (c *connection) active() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle != nil && !c.closed {
		c.idle.Reset(c.limits.Idle)
	}
}

// commanded notes that a session has begun a command.
func (c *connection) commanded() {
	c.mu.Lock()
	if c.over == nil && !c.closed {
		c.deadline.Stop()
	}
	c.mu.Unlock()
	c.active()
}

func (c *connection) opened(ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels[ch] = struct{}{}
}

func (c *connection) ended(ch *channel) {
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
				c.active()
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
		ch.cancel(fmt.Errorf("closed: nothing was typed or printed for %s (limits.idle)", c.limits.Idle))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.deadline.Reset(c.limits.Ending)
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
	}
	return c.Conn.Close()
}

const (
	burst = 400 // bytes
	pause = time.Millisecond
)

// Read holds back a client that has not proven a key and talks on without waiting for answers. x/crypto queues 16
// packets (of 28 bytes or more) and never gives up its goroutines when the handshake fails while the queue is full.
// An honest client feels it in its first packet, by a few milliseconds.
func (c *connection) Read(p []byte) (int, error) {
	if c.proven.Load() && len(c.greeting) == 0 {
		return c.Conn.Read(p)
	}
	n, err := c.readUnproven(p)
	if before := c.packets.whole; c.exchange != nil {
		line := min(n, c.skip)
		c.skip -= line
		c.packets.add(p[line:n])
		// The first packet is what the client can, the second its share of the key.
		if before < 2 && c.packets.whole >= 2 {
			c.exchange()
			c.exchange = nil
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
	if c.unheard.Load() >= burst {
		time.Sleep(pause)
		c.unheard.Store(0)
	}
	n, err := c.Conn.Read(p[:min(len(p), burst)])
	c.unheard.Add(int32(n))
	return n, err
}

// Write writes to the client, but for the gateway's version line, which greet has written already.
func (c *connection) Write(p []byte) (int, error) {
	if c.own > 0 {
		n := min(c.own, len(p))
		c.own -= n
		return n, nil
	}
	c.unheard.Store(0)
	return c.out.Write(p)
}

// send writes what a session says to w, which writes it to the connection, and notes that data has moved.
func (c *connection) send(w io.Writer, p []byte) (int, error) {
	c.active()
	if len(p) <= onePiece {
		n, err := w.Write(p)
		if failure := c.out.flush(); err == nil { // another session may be writing more, and its client be slow
			err = failure
		}
		return n, err
	}
	c.out.begin()
	n, err := w.Write(p)
	if failure := c.out.end(); err == nil {
		err = failure
	}
	return n, err
}

const (
	maxRefused = 8  // attempts to log in that are remembered; x/crypto allows 6
	maxLogin   = 64 // bytes of a login that are remembered; no user's is longer
)

// attempted returns an attempt of a client that has proven nothing, cut to what can be one.
func attempted(login, fingerprint string) attempt {
	if len(login) > maxLogin {
		login = strings.ToValidUTF8(login[:maxLogin], "") + "..."
	}
	return attempt{login, fingerprint}
}

// sameLogin reports whether a client has tried no other login before.
func (c *connection) sameLogin(login string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.login == "" {
		c.login = login
	}
	return c.login == login
}

func (c *connection) refuse(a attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.refused) < maxRefused && !slices.Contains(c.refused, a) {
		c.refused = append(c.refused, a)
	}
}

func (c *connection) accept(a attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = &a
}

// attempts returns the keys that were refused, and the last one that was accepted for proof; nil: none was.
func (c *connection) attempts() (refused []attempt, accepted *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused), c.accepted
}

// keepAlive asks the client every interval whether it is there, and closes the connection when a question has
// stayed unanswered for three intervals: a laptop that was closed must not leave a command behind for hours. It ends
// with the connection's context.
func (s *Server) keepAlive(ctx context.Context, conn *gossh.ServerConn) {
	answers := make(chan struct{}, 1)
	waited := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-answers:
			waited = 0
		case <-time.After(s.Limits.Keepalive):
			switch waited {
			case 0:
				go func() {
					defer s.recovered("keepalive", conn.RemoteAddr().String())
					if _, _, err := conn.SendRequest("keepalive@openssh.com", true, nil); err == nil {
						answers <- struct{}{}
					}
				}()
			case 3:
				conn.Close()
				return
			}
			waited++
		}
	}
}
