package sshd

import (
	"net"
	"net/netip"

	"nomadctld/internal/authkeys"
)

// maxProxyHeaders bounds the connections from proxies whose header has not arrived.
const maxProxyHeaders = 1000

// proxiedConn is a connection from a proxy. Its remote address is that of the proxy's client.
type proxiedConn struct {
	net.Conn
	client net.Addr
}

func (c proxiedConn) RemoteAddr() net.Addr { return c.client }

// isProxy reports whether connections from an address start with a PROXY header. If any other address sends such a
// header, the connection is closed, because the header is not an SSH version line.
func (s *Server) isProxy(address net.Addr) bool {
	return authkeys.InNetworks(addressOf(address), s.current().Proxies)
}

// readClientAddress reads the header of a proxy's connection, and gives the connection the address of the proxy's
// client. If the header has none, the connection is one of the proxy itself. The greeting timeout includes the header.
// It returns false if the connection was closed.
func (s *Server) readClientAddress(c *connection) bool {
	defer s.proxyHeaders.Add(-1)
	if s.proxyHeaders.Add(1) > maxProxyHeaders {
		s.loginLog.recordConnectionLimit(c)
		c.Close()
		return false
	}
	client, err := readProxyHeader(c.Conn)
	if err != nil {
		s.loginLog.recordProxyHeader(c, err)
		c.Close()
		return false
	}
	c.setClient(client)
	return true
}

// setClient sets the address of the client, or marks the connection as one of the proxy itself.
func (c *connection) setClient(client netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !client.IsValid() {
		c.ofProxy = true
		return
	}
	c.Conn = proxiedConn{c.Conn, net.TCPAddrFromAddrPort(client)}
	c.network = networkOf(c.Conn.RemoteAddr())
}
