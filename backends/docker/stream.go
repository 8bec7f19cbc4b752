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

// stream is a hijacked connection for the streams of a program or container. go-dockerclient opens it and copies the
// data, but over a streamConn: without it the library takes no context, ignores the status and closes too early.
type stream struct {
	conn *streamConn
	out  *output
	done chan struct{} // closed when no more output arrives or is written
}

// open calls start to open a stream. keepOpen: do not send EOF at the end of the input. If ctx ends before the daemon
// responds, opening fails.
func (s *apiClient) open(ctx context.Context, out *output, keepOpen bool, responseTimeout time.Duration,
	start func(*dockerclient.Client) (dockerclient.CloseWaiter, error),
) (*stream, error) {
	dialer := &dialer{ctx: ctx, tls: s.daemon.tls, responseTimeout: responseTimeout, keepOpen: keepOpen}
	dialer.onOpen = func(w *streamConn) { out.conn = w }
	client := *s.client
	client.Dialer, client.TLSConfig = dialer, nil // the library encrypts only connections of a net.Dialer
	waiter, err := start(&client)
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
	w.stopWatch = context.AfterFunc(d.ctx, func() { conn.SetDeadline(time.Now()) })
	d.onOpen(w)
	return w, nil
}

// streamConn is the connection of a stream. It records the status of the response.
type streamConn struct {
	net.Conn
	keepOpen   bool        // CloseWrite does nothing
	stopWatch  func() bool // stops watching the context, which counts only until the response
	statusLine []byte      // the first 12 bytes of the response
	status     atomic.Int32
	lastWrite  atomic.Int64 // Unix nanoseconds
}

const statusLineLen = len("HTTP/1.1 200")

// refusalTimeout bounds the time to read the text of a refusal. The daemon keeps the connection open after it.
const refusalTimeout = time.Second

func (w *streamConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if len(w.statusLine) < statusLineLen && n > 0 {
		w.statusLine = append(w.statusLine, p[:min(n, statusLineLen-len(w.statusLine))]...)
		if len(w.statusLine) == statusLineLen {
			w.handleStatus()
		}
	}
	return n, err
}

func (w *streamConn) Write(p []byte) (int, error) {
	w.lastWrite.Store(time.Now().UnixNano())
	return w.Conn.Write(p)
}

func (w *streamConn) lastWriteTime() time.Time { return time.Unix(0, w.lastWrite.Load()) }

func (w *streamConn) handleStatus() {
	w.stopWatch()
	status := 0
	for _, digit := range w.statusLine[statusLineLen-3:] {
		status = status*10 + int(digit-'0')
	}
	w.status.Store(int32(status))
	w.SetWriteDeadline(time.Time{})
	if w.accepted() {
		w.SetReadDeadline(time.Time{})
	} else {
		w.SetReadDeadline(time.Now().Add(refusalTimeout))
	}
}

// accepted reports whether the daemon accepted the request for a stream.
func (w *streamConn) accepted() bool {
	status := w.status.Load()
	return status == http.StatusSwitchingProtocols || status == http.StatusOK
}

// encrypted reports whether the connection uses TLS. Then a read returns at most one record of 16 KiB.
func (w *streamConn) encrypted() bool {
	_, is := w.Conn.(*tls.Conn)
	return is
}

// CloseWrite is called by the library at the end of the input.
func (w *streamConn) CloseWrite() error {
	if w.keepOpen {
		return nil
	}
	return w.closeWrite()
}

func (w *streamConn) closeWrite() error { return w.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (w *streamConn) Close() error {
	w.stopWatch()
	return w.Conn.Close()
}

var _ io.ReadWriteCloser = (*streamConn)(nil)
