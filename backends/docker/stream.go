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

// stream is a connection that the daemon has given up to the streams of a program. go-dockerclient opens and copies it,
// but on a connection of ours: by itself it takes no context, looks at no status, and closes what has to stay open.
type stream struct {
	conn *streamConn
	out  *output
	done chan struct{} // closed when nothing more comes and nothing more is written to the outputs
}

// open lets begin start a stream. Its input goes through in, if any; with keep the end of the input is not passed on.
// When ctx ends before the daemon has answered, so does the stream.
func (s *apiClient) open(ctx context.Context, out *output, keep bool, limit time.Duration,
	begin func(*dockerclient.Client) (dockerclient.CloseWaiter, error),
) (*stream, error) {
	dialer := &dialer{ctx: ctx, tls: s.daemon.tls, responseTimeout: limit, keepOpen: keep}
	dialer.onOpen = func(w *streamConn) { out.conn = w }
	client := *s.client
	client.Dialer, client.TLSConfig = dialer, nil // the library encrypts only what a net.Dialer has opened
	waiter, err := begin(&client)
	if err != nil {
		return nil, err
	}
	st := &stream{conn: out.conn, out: out, done: make(chan struct{})}
	go func() {
		defer close(st.done)
		out.guard(func() {
			defer st.conn.Close()
			waiter.Wait() // its error may be that of the input; out knows that of the output
		})()
	}()
	return st, nil
}

// close ends the stream as it is.
func (s *stream) close() { s.conn.Close() }

// dialer opens one connection.
type dialer struct {
	ctx             context.Context
	tls             *tls.Config
	responseTimeout time.Duration // for the daemon's answer
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

// streamConn is the connection of a stream.
type streamConn struct {
	net.Conn
	keepOpen   bool        // the end of the input stays here
	stopWatch  func() bool // lets go of the context, which is for the time until the answer
	statusLine []byte      // the beginning of the answer; 12 bytes when it is complete
	status     atomic.Int32
	lastWrite  atomic.Int64 // when something was last sent, in Unix nanoseconds
}

const statusLineLen = len("HTTP/1.1 200")

// refusalTimeout is how long the text of a refusal may take; the daemon keeps the connection open after it.
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

// accepted reports whether the daemon has agreed to the stream.
func (w *streamConn) accepted() bool {
	status := w.status.Load()
	return status == http.StatusSwitchingProtocols || status == http.StatusOK
}

// encrypted reports whether no read returns more than a record of TLS, which is 16 KiB.
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
