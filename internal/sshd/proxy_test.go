package sshd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/router"
)

// proxyTest is a server in simulated time behind the proxy 10.0.0.5.
type proxyTest struct {
	*testServer
	listener *memoryListener
	recorder *recorder
	from     string // address and port of the next connection
	header   string // that it starts with
}

func newProxyTest(t *testing.T, change func(*Server)) *proxyTest {
	t.Helper()
	p := &proxyTest{listener: newMemoryListener(), recorder: &recorder{}, from: "10.0.0.5:1000"}
	limits := Limits{Penalties: sshdPenalties}
	p.testServer = serveOn(t, p.listener, p.connectProxied, limits, remoteHandler, func(s *Server) {
		s.Settings.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.5/32")}
		s.Log, s.Record = slog.New(slog.NewTextHandler(p.recorder, nil)), p.recorder.record
		change(s)
	})
	return p
}

func (p *proxyTest) connectProxied() (net.Conn, error) {
	conn, err := p.listener.dialFrom(p.from)
	if err == nil {
		io.WriteString(conn, p.header)
	}
	return conn, err
}

// remoteHandler prints the address of the client.
func remoteHandler(_ context.Context, req *router.Request) error {
	fmt.Fprintln(req.Console.Stdout, req.Session.Remote)
	return nil
}

const proxyHeader = "PROXY TCP4 %s 10.0.0.6 4000 22\r\n"

func TestProxy_ClientAddress(t *testing.T) {
	for header, want := range map[string]string{
		fmt.Sprintf(proxyHeader, "192.0.2.1"): "192.0.2.1:4000", proxyV2(0x21, 0x21, tcp6Body...): "[2001:db8::1]:1000",
		proxyV2(0x20, 0): "10.0.0.5:1000", "PROXY UNKNOWN\r\n": "10.0.0.5:1000",
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxyTest(t, func(*Server) {})
			p.header = header
			client := p.annsClient(t)
			if got := runLine(t, client, "x"); got != want+"\n" {
				t.Errorf("%q: got %q, want %s", header, got, want)
			}
			if got := p.recorder.eventsOf(audit.Login); len(got) != 1 || got[0].Remote != want {
				t.Errorf("%q: got %+v in the audit log, want the address %s", header, got, want)
			}
		})
	}
}

// TestProxy_From checks that from= applies to the client's address.
func TestProxy_From(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxyTest(t, func(s *Server) {})
		account := newAccount("ann", p.ann.PublicKey())
		account.From = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		settings := *p.current()
		settings.Users = acl.NewDirectory(acl.Rules{Accounts: []acl.Account{account}})
		p.Apply(settings)
		for address, want := range map[string]bool{"192.0.2.1": true, "198.51.100.1": false} {
			p.header = fmt.Sprintf(proxyHeader, address)
			if _, err := p.dial(t, "ann", p.ann); (err == nil) != want {
				t.Errorf("%s: got %v, want a login: %v", address, err, want)
			}
		}
	})
}

// TestProxy_Penalties checks that penalties are for the client's address, and not for health checks of the proxy.
func TestProxy_Penalties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxyTest(t, func(*Server) {})
		mallory := newKey(t)
		login := func(header string) error {
			p.header = header
			client, err := p.dial(t, "ann", p.ann)
			if err == nil {
				client.Close()
			}
			return err
		}
		for range 5 {
			p.header = fmt.Sprintf(proxyHeader, "198.51.100.1")
			p.dial(t, "ann", mallory)
			p.header = proxyV2(0x20, 0)
			p.dial(t, "ann", mallory)
		}
		if login(fmt.Sprintf(proxyHeader, "198.51.100.1")) == nil {
			t.Error("accepted from a penalized address")
		}
		for _, header := range []string{fmt.Sprintf(proxyHeader, "192.0.2.1"), proxyV2(0x20, 0)} {
			if err := login(header); err != nil {
				t.Errorf("%q: %v", header, err)
			}
		}
	})
}

// TestProxy_NoHeader connects from the proxy without a valid header.
func TestProxy_NoHeader(t *testing.T) {
	for sent, want := range map[string]time.Duration{
		"": 5 * time.Second, "PROXY TCP4": 5 * time.Second, "SSH-2.0-OpenSSH_9.2\r\n": 0, "PROXY TCP4 x x 1 22\r\n": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxyTest(t, func(*Server) {})
			p.header = sent
			start := time.Now()
			conn, err := p.connectProxied()
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(conn); len(got) > 0 {
				t.Errorf("%q: got %q, want nothing", sent, got)
			}
			if took := time.Since(start); took != want {
				t.Errorf("%q: closed after %s, want %s", sent, took, want)
			}
			synctest.Wait()
			if log := p.recorder.text(); !strings.Contains(log, "general.proxy") {
				t.Errorf("%q: got the log %q", sent, log)
			}
		})
	}
}

// TestProxy_HeaderFromOthers sends a header from an address that is not a proxy.
func TestProxy_HeaderFromOthers(t *testing.T) {
	for _, header := range []string{fmt.Sprintf(proxyHeader, "192.0.2.1"), proxyV2(0x21, 0x11, tcp4Body...)} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxyTest(t, func(*Server) {})
			p.header, p.from = header, "10.0.0.6:1000"
			if _, err := p.dial(t, "ann", p.ann); err == nil {
				t.Error("accepted a header that is not from a proxy")
			}
			conn, err := p.connectProxied()
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			io.Copy(io.Discard, conn)
			if took := time.Since(start); took > 0 {
				t.Errorf("closed after %s, want at once", took)
			}
		})
	}
}

// TestProxy_StopDuringHeader stops the server while it waits for a header.
func TestProxy_StopDuringHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxyTest(t, func(*Server) {})
		conn, err := p.connectProxied()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.Drain()
		synctest.Wait()
		io.WriteString(conn, fmt.Sprintf(proxyHeader, "192.0.2.1"))
		if got, _ := io.ReadAll(conn); len(got) > 0 {
			t.Errorf("got %q from a draining server, want nothing", got)
		}
	})
}
