package sshd

import (
	"context"
	"encoding/hex"
	"net"
	"sync"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// sessionContext is the context that the library passes to the session handler. The client's identity comes from the
// authenticated connection.
type sessionContext struct {
	context.Context
	sync.Mutex
	conn    *gossh.ServerConn
	channel *channel
}

var _ ssh.Context = (*sessionContext)(nil)

func (c *sessionContext) User() string          { return c.conn.User() }
func (c *sessionContext) SessionID() string     { return hex.EncodeToString(c.conn.SessionID()) }
func (c *sessionContext) ClientVersion() string { return string(c.conn.ClientVersion()) }
func (c *sessionContext) ServerVersion() string { return string(c.conn.ServerVersion()) }
func (c *sessionContext) RemoteAddr() net.Addr  { return c.conn.RemoteAddr() }
func (c *sessionContext) LocalAddr() net.Addr   { return c.conn.LocalAddr() }
func (c *sessionContext) Permissions() *ssh.Permissions {
	return &ssh.Permissions{Permissions: &gossh.Permissions{}}
}

// SetValue does nothing: the state of a session is in its channel.
func (c *sessionContext) SetValue(_, _ any) {}
