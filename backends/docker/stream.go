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
	wire *wire
	out  *output
	done chan struct{} // closed when nothing more comes and nothing more is written to the outputs
}

// open lets begin start a stream. Its input goes through in, if any; with keep the end of the input is not passed on.
// When ctx ends before the daemon has answered, so does the stream.
func (s *speaker) open(ctx context.Context, out *output, keep bool, limit time.Duration,
	begin func(*dockerclient.Client) (dockerclient.CloseWaiter, error),
) (*stream, error) {
	dialer := &dialer{ctx: ctx, tls: s.daemon.tls, limit: limit, keep: keep}
	dialer.opened = func(w *wire) { out.wire = w }
	client := *s.client
	client.Dialer, client.TLSConfig = dialer, nil // the library encrypts only what a net.Dialer has opened
	waiter, err := begin(&client)
	if err != nil {
		return nil, err
	}
	st := &stream{wire: out.wire, out: out, done: make(chan struct{})}
	go func() {
		defer close(st.done)
		out.guard(func() {
			defer st.wire.Close()
			waiter.Wait() // its error may be that of the input; out knows that of the output
		})()
	}()
	return st, nil
}

// close ends the stream as it is.
func (s *stream) close() { s.wire.Close() }

// dialer opens one connection.
type dialer struct {
	ctx    context.Context
	tls    *tls.Config
	limit  time.Duration // for the daemon's answer
	keep   bool
	opened func(*wire)
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
	w := &wire{Conn: conn, keep: d.keep}
	conn.SetDeadline(time.Now().Add(d.limit))
	w.stop = context.AfterFunc(d.ctx, func() { conn.SetDeadline(time.Now()) })
	d.opened(w)
	return w, nil
}

// wire is the connection of a stream.
type wire struct {
	net.Conn
	keep   bool        // the end of the input stays here
	stop   func() bool // lets go of the context, which is for the time until the answer
	head   []byte      // the beginning of the answer; 12 bytes when it is complete
	status atomic.Int32
	sent   atomic.Int64 // when something was last sent, in Unix nanoseconds
}

const statusLine = len("HTTP/1.1 200")

// lateText is how long the text of a refusal may take; the daemon keeps the connection open after it.
const lateText = time.Second

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if len(w.head) < statusLine && n > 0 {
		w.head = append(w.head, p[:min(n, statusLine-len(w.head))]...)
		if len(w.head) == statusLine {
			w.answered()
		}
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.sent.Store(time.Now().UnixNano())
	return w.Conn.Write(p)
}

func (w *wire) lastSent() time.Time { return time.Unix(0, w.sent.Load()) }

func (w *wire) answered() {
	w.stop()
	status := 0
	for _, digit := range w.head[statusLine-3:] {
		status = status*10 + int(digit-'0')
	}
	w.status.Store(int32(status))
	w.SetWriteDeadline(time.Time{})
	if w.accepted() {
		w.SetReadDeadline(time.Time{})
	} else {
		w.SetReadDeadline(time.Now().Add(lateText))
	}
}

// accepted reports whether the daemon has agreed to the stream.
func (w *wire) accepted() bool {
	status := w.status.Load()
	return status == http.StatusSwitchingProtocols || status == http.StatusOK
}

// encrypted reports whether no read returns more than a record of TLS, which is 16 KiB.
func (w *wire) encrypted() bool {
	_, is := w.Conn.(*tls.Conn)
	return is
}

// CloseWrite is called by the library at the end of the input.
func (w *wire) CloseWrite() error {
	if w.keep {
		return nil
	}
	return w.endInput()
}

func (w *wire) endInput() error { return w.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (w *wire) Close() error {
	w.stop()
	return w.Conn.Close()
}

var _ io.ReadWriteCloser = (*wire)(nil)
