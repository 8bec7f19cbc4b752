package nomad

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

// websocketConn is the connection below a websocket. The library waits in its reads and writes whatever becomes of a context:
// cutting the link is what ends them.
type websocketConn struct {
	tls *tls.Config // nil: none

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

// dial is for the library, which calls it once.
func (l *websocketConn) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := newDialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if !l.setConn(conn) {
		conn.Close()
		return nil, net.ErrClosed
	}
	if l.tls != nil {
		secure := tls.Client(conn, l.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	return &heartbeatConn{Conn: conn}, nil
}

func (l *websocketConn) setConn(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return !l.closed
}

// close cuts the connection, and any that would still be made.
func (l *websocketConn) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
}

// heartbeatConn lets the library's heartbeats pass only while it waits for something to read: that is what they are for.
// One that comes after Nomad has closed the connection makes the kernel over there throw away what we have not read, and
// that is the end of the output when its reader is slow.
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

// isHeartbeat knows the frame by its length: no other message is a final text frame of three bytes, `{}` and a newline.
func isHeartbeat(frame []byte) bool {
	return len(frame) == 2+4+3 && frame[0] == 0x81 && frame[1] == 0x80|3
}
