package sshd

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memoryListener is a network in memory, for servers in simulated time. A real connection would stop the simulated
// clock.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return addr("127.0.0.1:22") }

// dial connects to the listener.
func (l *memoryListener) dial() (net.Conn, error) { return l.dialFrom("127.0.0.1:1000") }

// dialFrom connects to the listener from an address and port.
func (l *memoryListener) dialFrom(address string) (net.Conn, error) {
	there, back := newMemoryPipe(), newMemoryPipe()
	select {
	case l.conns <- &memoryConn{in: there, out: back, remote: addr(address)}:
		return &memoryConn{in: back, out: there, remote: l.Addr()}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// memoryConn is one end of a connection in memory. Writes never block.
type memoryConn struct {
	in, out *memoryPipe
	remote  net.Addr
}

func (c *memoryConn) Read(p []byte) (int, error)         { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error)        { return c.out.write(p) }
func (c *memoryConn) LocalAddr() net.Addr                { return addr("127.0.0.1:22") }
func (c *memoryConn) RemoteAddr() net.Addr               { return c.remote }
func (c *memoryConn) SetDeadline(at time.Time) error     { return c.SetReadDeadline(at) }
func (c *memoryConn) SetWriteDeadline(time.Time) error   { return nil }
func (c *memoryConn) SetReadDeadline(at time.Time) error { c.in.setDeadline(at); return nil }

func (c *memoryConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

// memoryPipe is one direction of a connection.
type memoryPipe struct {
	mu       sync.Mutex // guards the fields below
	changed  sync.Cond
	data     []byte
	closed   bool
	deadline time.Time
}

func newMemoryPipe() *memoryPipe {
	p := &memoryPipe{}
	p.changed.L = &p.mu
	return p
}

func (p *memoryPipe) read(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.data) == 0 {
		switch {
		case p.closed:
			return 0, io.EOF
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		p.changed.Wait()
	}
	n := copy(buf, p.data)
	p.data = p.data[n:]
	return n, nil
}

func (p *memoryPipe) write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, net.ErrClosed
	}
	p.data = append(p.data, data...)
	p.changed.Broadcast()
	return len(data), nil
}

func (p *memoryPipe) setDeadline(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = at
	if !at.IsZero() {
		time.AfterFunc(time.Until(at), p.changed.Broadcast)
	}
}

func (p *memoryPipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
}
