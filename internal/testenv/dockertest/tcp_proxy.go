package dockertest

import (
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// ProxyTCP forwards a loopback port to the daemon at host until the test ends, and returns its address.
func ProxyTCP(t testing.TB, host string) (addr string) {
	t.Helper()
	addr, _ = proxy(t, host, nil)
	return addr
}

// ProxyTCPWithCut is ProxyTCP with a function that closes all open connections. New connections are accepted
// afterwards.
func ProxyTCPWithCut(t testing.TB, host string) (addr string, cut func()) {
	t.Helper()
	addr, end := proxy(t, host, nil)
	return addr, func() { end(false) }
}

// ProxyTCPWithStop is ProxyTCP with a function that closes all open and all later connections.
func ProxyTCPWithStop(t testing.TB, host string) (addr string, kill func()) {
	t.Helper()
	addr, end := proxy(t, host, nil)
	return addr, func() { end(true) }
}

// ProxyTLS is ProxyTCP with encryption. Clients need a certificate of the returned CA.
func ProxyTLS(t testing.TB, host string) (addr string, files Certificates) {
	t.Helper()
	files, config := newCertificates(t)
	addr, _ = proxy(t, host, config)
	return addr, files
}

// proxy forwards a loopback port to the daemon. closeConns closes all connections and, if forever is set, also those
// that are accepted later.
func proxy(t testing.TB, host string, config *tls.Config) (addr string, closeConns func(forever bool)) {
	t.Helper()
	target, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", target.Host
	if target.Scheme == "unix" {
		network, address = "unix", target.Path
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open connSet
	var conversations sync.WaitGroup
	conversations.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.add(conn)
			if config != nil {
				conn = tls.Server(conn, config)
			}
			conversations.Go(func() {
				defer conn.Close()
				if secured, ok := conn.(*tls.Conn); ok && secured.Handshake() != nil {
					return // do not dial the daemon
				}
				daemon, err := net.Dial(network, address)
				if err != nil {
					return
				}
				defer daemon.Close()
				open.add(daemon)
				relay(conn, daemon)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		open.close(true)
		conversations.Wait()
	})
	return listener.Addr().String(), open.close
}

// connSet is a set of connections that are closed together. Once it is closed for good, it closes new ones at once.
type connSet struct {
	mu     sync.Mutex // guards the fields below
	conns  []net.Conn
	closed bool
}

func (t *connSet) add(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns = append(t.conns, conn)
	if t.closed {
		conn.Close()
	}
}

func (t *connSet) close(forever bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = forever
	for _, conn := range t.conns {
		conn.Close()
	}
	t.conns = nil
}

// relay copies in both directions and forwards the end of each, which exec and attach streams need.
func relay(client, daemon net.Conn) {
	type halfCloser interface{ CloseWrite() error }
	var sending sync.WaitGroup
	sending.Go(func() {
		io.Copy(daemon, client)
		daemon.(halfCloser).CloseWrite()
	})
	io.Copy(client, daemon)
	client.(halfCloser).CloseWrite()
	sending.Wait()
}
