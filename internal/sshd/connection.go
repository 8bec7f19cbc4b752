package sshd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// connection is a client's TCP connection with what the gateway knows of it.
type connection struct {
	net.Conn
	out      sender
	id       string
	watch    sync.Once    // begins keepAlive
	sessions atomic.Int32 // open now, those about to be refused included
	numbered atomic.Int32 // opened so far
	proven   atomic.Bool  // the client has proven a key
	unheard  atomic.Int32 // bytes read since the gateway last wrote
	greeting []byte       // read, and not yet read by the library

	mu       sync.Mutex
	closed   bool
	deadline *time.Timer   // of the handshake
	idle     *time.Timer   // nil: it may be idle for ever
	idleTime time.Duration // that idle is set to
	refused  []string      // what the client tried to log in with: user and fingerprint
}

func newConnection(conn net.Conn, limits Limits) *connection {
	var id [4]byte
	rand.Read(id[:])
	c := &connection{Conn: conn, out: sender{conn: conn}, id: hex.EncodeToString(id[:]), idleTime: limits.Idle}
	c.mu.Lock() // against a timer that strikes at once
	defer c.mu.Unlock()
	// A timer and no deadline: gliderlabs/ssh resets the deadlines of its connections with every read.
	c.deadline = time.AfterFunc(limits.Handshake, func() { c.Close() })
	if limits.Idle > 0 {
		c.idle = time.AfterFunc(limits.Idle, func() { c.Close() })
	}
	return c
}

func (c *connection) nextSession() string { return fmt.Sprintf("%s-%d", c.id, c.numbered.Add(1)) }

// grownUp ends the handshake's time limit.
func (c *connection) grownUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proven.Store(true)
	c.deadline.Stop()
}

// active notes that a session has begun or moved data. Keepalives do not count.
func (c *connection) active() {
	if c.idle == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.idle.Reset(c.idleTime)
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
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	if c.proven.Load() {
		return c.Conn.Read(p)
	}
	if c.unheard.Load() >= burst {
		time.Sleep(pause)
		c.unheard.Store(0)
	}
	n, err := c.Conn.Read(p[:min(len(p), burst)])
	c.unheard.Add(int32(n))
	return n, err
}

// version returns the line with which the client says what it is, if that comes in time, and leaves it to be read. It is
// called before anything is read.
func (c *connection) version() string {
	const inTime, most = 300 * time.Millisecond, 255 // clients may wait for ours; no line is longer
	c.Conn.SetReadDeadline(time.Now().Add(inTime))
	defer c.Conn.SetReadDeadline(time.Time{})
	buf := make([]byte, most)
	for n := 0; n < most; {
		read, err := c.Conn.Read(buf[n:])
		n += read
		c.greeting = buf[:n]
		if line, _, whole := strings.Cut(string(c.greeting), "\n"); whole {
			return strings.TrimSuffix(line, "\r")
		}
		if err != nil {
			break
		}
	}
	return ""
}

func (c *connection) Write(p []byte) (int, error) {
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

// maxRefused is how many attempts to log in are remembered; x/crypto allows 6.
const maxRefused = 8

func (c *connection) refuse(user, fingerprint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if attempt := user + " " + fingerprint; len(c.refused) < maxRefused && !slices.Contains(c.refused, attempt) {
		c.refused = append(c.refused, attempt)
	}
}

func (c *connection) attempts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}

type connectionKey struct{}

// remember puts the connection where the callbacks of the library find it again.
func remember(ctx ssh.Context, conn net.Conn) net.Conn {
	ctx.SetValue(connectionKey{}, conn)
	return conn
}

func connectionOf(ctx ssh.Context) *connection { return ctx.Value(connectionKey{}).(*connection) }

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
