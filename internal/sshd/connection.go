package sshd

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// connection is a client's TCP connection with what the gateway knows of it.
type connection struct {
	net.Conn
	id       string
	grownUp  func()       // ends the handshake's time limit and gives its place back; may be called again
	watch    sync.Once    // begins keepAlive
	sessions atomic.Int32 // open now
	numbered atomic.Int32 // opened so far
	idle     *time.Timer  // closes the connection; nil: it may be idle for ever
	idleTime time.Duration
}

// newConnection wraps conn and closes it unless grownUp is called within the handshake's time. The time is a
// timer and no deadline, because gliderlabs/ssh resets the deadlines of its connections with every read.
func newConnection(conn net.Conn, limits Limits, free func()) *connection {
	var id [4]byte
	rand.Read(id[:])
	c := &connection{Conn: conn, id: hex.EncodeToString(id[:]), idleTime: limits.Idle}
	timer := time.AfterFunc(limits.Handshake, func() { conn.Close() })
	if limits.Idle > 0 {
		c.idle = time.AfterFunc(limits.Idle, func() { conn.Close() })
	}
	c.grownUp = sync.OnceFunc(func() {
		timer.Stop()
		free()
	})
	return c
}

func (c *connection) nextSession() string { return fmt.Sprintf("%s-%d", c.id, c.numbered.Add(1)) }

// active notes that a session has moved data. Keepalives do not count.
func (c *connection) active() {
	if c.idle != nil {
		c.idle.Reset(c.idleTime)
	}
}

type connectionKey struct{}

// remember puts the connection where the callbacks of the library find it again.
func remember(ctx ssh.Context, conn net.Conn) net.Conn {
	ctx.SetValue(connectionKey{}, conn)
	return conn
}

func connectionOf(ctx ssh.Context) *connection { return ctx.Value(connectionKey{}).(*connection) }

// keepAlive asks the client every interval whether it is there, and closes the connection when a question has
// stayed unanswered for three intervals: a laptop that was closed must not leave a command behind for hours.
func keepAlive(conn *gossh.ServerConn, interval time.Duration) {
	gone := make(chan struct{})
	go func() { conn.Wait(); close(gone) }()
	answers := make(chan struct{}, 1)
	waited := 0
	for {
		select {
		case <-gone:
			return
		case <-answers:
			waited = 0
		case <-time.After(interval):
			switch waited {
			case 0:
				go func() {
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
