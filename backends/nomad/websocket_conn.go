package nomad

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

// websocketConn is the connection below a websocket. The library's reads and writes ignore contexts, so closing the
// connection is the only way to interrupt them.
type websocketConn struct {
	tls *tls.Config // nil: none

	mu     sync.Mutex
	conn   net.Conn // guarded by mu
	closed bool     // guarded by mu
}

// dial is the library's DialContext. The library calls it once.
func (c *websocketConn) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := newDialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if !c.setConn(conn) {
		conn.Close()
		return nil, net.ErrClosed
	}
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	return &heartbeatConn{Conn: conn}, nil
}

// setConn stores the connection. It returns false if close has been called.
func (c *websocketConn) setConn(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return !c.closed
}

// close closes the connection. If it is being made, dial fails.
func (c *websocketConn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
}

// heartbeatConn passes on the library's heartbeats only while the library waits in Read, where they keep the connection
// alive. A heartbeat that arrived after Nomad's close would make Nomad's kernel reset the connection, and unread output
// would be lost.
type heartbeatConn struct {
	net.Conn
	reading atomic.Bool
}

func (c *heartbeatConn) Read(b []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	return c.Conn.Read(b)
}

func (c *heartbeatConn) Write(b []byte) (int, error) {
	if isHeartbeat(b) && !c.reading.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// isHeartbeat reports whether frame is a heartbeat: a final text frame of three bytes, `{}` and a newline. The
// content is masked, but no other message has this length.
func isHeartbeat(frame []byte) bool {
	return len(frame) == 2+4+3 && frame[0] == 0x81 && frame[1] == 0x80|3
}
