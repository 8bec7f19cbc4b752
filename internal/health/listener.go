package health

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// UnixPrefix starts a listen address that is a unix socket, as in unix:/run/nomadctld/metrics.sock.
const UnixPrefix = "unix:"

// socketMode lets the group of the gateway connect.
const socketMode = 0o660

// Listen listens on host:port, or on the unix socket at unix:PATH. It replaces a socket that an earlier gateway left
// behind, and refuses a path at which anything else exists.
func Listen(bind string) (net.Listener, error) {
	path, ok := strings.CutPrefix(bind, UnixPrefix)
	if !ok {
		return net.Listen("tcp", bind)
	}
	if err := removeStaleSocket(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStaleSocket removes the socket at path if nothing listens on it.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s: another process listens on the socket", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// maxConnections bounds the connections of a limitedListener, so that its clients cannot use up the gateway's file
// descriptors. The server closes idle connections, so a client waits for at most two minutes.
const maxConnections = 32

// limitedListener accepts a connection only while fewer than maxConnections are open.
type limitedListener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{} // closed by Close
	close sync.Once
}

func newLimitedListener(l net.Listener) *limitedListener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, maxConnections), done: make(chan struct{})}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limitedListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
