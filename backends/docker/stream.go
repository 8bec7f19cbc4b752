package docker

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// stream is a hijacked connection that carries stdin, stdout and stderr of a program or container. go-dockerclient
// opens it and copies the data, but over a streamConn: without it the library takes no context, ignores the status and
// closes too early.
type stream struct {
	conn *streamConn
	out  *outputReceiver
	done chan struct{} // closed when no more output arrives or is written
}

// open calls start to open a stream. keepOpen: do not send EOF at the end of the input. If ctx ends before the daemon
// responds, opening fails.
func (c *apiClient) open(ctx context.Context, out *outputReceiver, keepOpen bool, responseTimeout time.Duration,
	start func(*dockerclient.Client) (dockerclient.CloseWaiter, error),
) (*stream, error) {
	dialer := &dialer{ctx: ctx, tls: c.daemon.tls, responseTimeout: responseTimeout, keepOpen: keepOpen}
	dialer.onOpen = func(w *streamConn) { out.conn, w.onAccepted = w, out.onAccepted }
	libraryClient := *c.client
	libraryClient.Dialer, libraryClient.TLSConfig = dialer, nil // the library encrypts only connections of a net.Dialer
	waiter, err := start(&libraryClient)
	if err != nil {
		return nil, err
	}
	st := &stream{conn: out.conn, out: out, done: make(chan struct{})}
	go func() {
		defer close(st.done)
		out.guard(func() {
			defer st.conn.Close()
			waiter.Wait() // the error may be that of the input; out has the error of the output
		})()
	}()
	return st, nil
}

// close closes the connection.
func (s *stream) close() { s.conn.Close() }

// dialer opens the connection of one stream.
type dialer struct {
	ctx             context.Context
	tls             *tls.Config
	responseTimeout time.Duration // for the headers
	keepOpen        bool
	onOpen          func(*streamConn)
}

// Dial connects to the daemon. The library calls it once for a stream.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, connectTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		secured := tls.Client(conn, d.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secured
	}
	w := &streamConn{Conn: conn, keepOpen: d.keepOpen}
	conn.SetDeadline(time.Now().Add(d.responseTimeout))
	w.stopContextWatch = context.AfterFunc(d.ctx, func() { conn.SetDeadline(time.Now()) })
	d.onOpen(w)
	return w, nil
}

// streamConn is the connection of a stream. It records the status of the response.
type streamConn struct {
	net.Conn
	keepOpen bool // CloseWrite does nothing
	// stopContextWatch is called after the response: from then on, the end of the context does not interrupt the
	// connection.
	stopContextWatch func() bool
	onAccepted       func() // called before the first output; may be nil
	statusLine       []byte // the first 12 bytes of the response
	status           atomic.Int32
	lastWrite        atomic.Int64 // Unix nanoseconds
}

const statusLineLen = len("HTTP/1.1 200")

// refusalTimeout bounds the time to read the text of a refusal. The daemon keeps the connection open after it.
const refusalTimeout = time.Second

func (c *streamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(c.statusLine) < statusLineLen && n > 0 {
		c.statusLine = append(c.statusLine, p[:min(n, statusLineLen-len(c.statusLine))]...)
		if len(c.statusLine) == statusLineLen {
			c.handleStatus()
		}
	}
	return n, err
}

func (c *streamConn) Write(p []byte) (int, error) {
	c.lastWrite.Store(time.Now().UnixNano())
	return c.Conn.Write(p)
}

func (c *streamConn) lastWriteTime() time.Time { return time.Unix(0, c.lastWrite.Load()) }

// handleStatus parses the status and replaces the deadlines of the request.
func (c *streamConn) handleStatus() {
	c.stopContextWatch()
	status := 0
	for _, digit := range c.statusLine[statusLineLen-3:] {
		status = status*10 + int(digit-'0')
	}
	c.status.Store(int32(status))
	c.SetWriteDeadline(time.Time{})
	if c.accepted() {
		c.SetReadDeadline(time.Time{})
		if c.onAccepted != nil {
			c.onAccepted()
		}
	} else {
		c.SetReadDeadline(time.Now().Add(refusalTimeout))
	}
}

// accepted reports whether the daemon accepted the request for a stream.
func (c *streamConn) accepted() bool {
	status := c.status.Load()
	return status == http.StatusSwitchingProtocols || status == http.StatusOK
}

// encrypted reports whether the connection uses TLS. Then a read returns at most one record of 16 KiB.
func (c *streamConn) encrypted() bool {
	_, is := c.Conn.(*tls.Conn)
	return is
}

// CloseWrite is called by the library at the end of the input.
func (c *streamConn) CloseWrite() error {
	if c.keepOpen {
		return nil
	}
	return c.closeWrite()
}

// closeWrite sends EOF to the daemon.
func (c *streamConn) closeWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (c *streamConn) Close() error {
	c.stopContextWatch()
	return c.Conn.Close()
}

var _ io.ReadWriteCloser = (*streamConn)(nil)
