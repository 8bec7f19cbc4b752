package sshd

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/metrics"
)

var sshdPenalties = PenaltyLimits{AuthFail: 5 * time.Second, Min: 15 * time.Second, Max: 10 * time.Minute}

// penaltyTest is a server in simulated time whose clients choose their address.
type penaltyTest struct {
	*testServer
	listener *memoryListener
	from     string // address and port of the next client
	mallory  gossh.Signer
}

func newPenaltyTest(t *testing.T, limits PenaltyLimits) *penaltyTest {
	t.Helper()
	p := &penaltyTest{listener: newMemoryListener(), mallory: newKey(t)}
	connect := func() (net.Conn, error) { return p.listener.dialFrom(p.from) }
	p.testServer = serveOn(t, p.listener, connect, Limits{Penalties: limits}, whoHandler, func(*Server) {})
	return p
}

// login tries to log in as ann, with ann's key or with an unknown one, and reports whether that succeeded.
func (p *penaltyTest) login(t *testing.T, from string, key gossh.Signer) bool {
	t.Helper()
	p.from = from
	client, err := p.dial(t, "ann", key)
	if err == nil {
		client.Close()
	}
	synctest.Wait() // until the server has seen the end of the connection
	return err == nil
}

// response connects and returns what the server sends first.
func (p *penaltyTest) response(t *testing.T, from string) string {
	t.Helper()
	conn, err := p.listener.dialFrom(from)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 100)
	n, _ := conn.Read(buf)
	return string(buf[:n])
}

func TestPenalties_FailedLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPenaltyTest(t, sshdPenalties)
		const bad, good = "192.0.2.1:1000", "192.0.2.2:1000"
		for range 3 { // 15 seconds, which is not above the minimum
			p.login(t, bad, p.mallory)
		}
		if !p.login(t, bad, p.ann) {
			t.Error("refused below the minimum")
		}
		p.login(t, bad, p.mallory) // 20 seconds
		if p.login(t, bad, p.ann) {
			t.Error("accepted from a penalized address")
		}
		if got := p.response(t, bad); got != "Not allowed at this time\r\n" {
			t.Errorf("got %q", got)
		}
		if !p.login(t, good, p.ann) {
			t.Error("another address is penalized: anyone could lock ann out")
		}
		time.Sleep(19 * time.Second) // logins take some milliseconds
		if p.login(t, bad, p.ann) {
			t.Error("accepted before the penalty has decayed")
		}
		time.Sleep(time.Second)
		if !p.login(t, bad, p.ann) {
			t.Error("refused after the penalty has decayed")
		}
	})
}

// TestPenalties_NameLocksNobodyOut fails logins as ann from many addresses. ann can log in from hers.
func TestPenalties_NameLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPenaltyTest(t, sshdPenalties)
		for i := range 100 {
			for range 5 {
				p.login(t, fmt.Sprintf("198.51.100.%d:1000", i), p.mallory)
			}
		}
		if !p.login(t, "192.0.2.2:1000", p.ann) {
			t.Error("ann cannot log in")
		}
		if p.login(t, "198.51.100.7:1000", p.ann) {
			t.Error("accepted from an address of the failed logins")
		}
	})
}

func TestPenalties_NetworkAndExempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := sshdPenalties
		limits.Exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::5/128")}
		p := newPenaltyTest(t, limits)
		for i := range 5 {
			p.login(t, "10.1.2.3:1000", p.mallory)
			p.login(t, fmt.Sprintf("[2001:db8::%d]:1000", i+10), p.mallory)
		}
		for from, want := range map[string]bool{
			"10.1.2.3:1000": true, "[2001:db8::1]:1000": false, "[2001:db8::5]:1000": true, "[2001:db8:0:1::1]:1000": true,
		} {
			if got := p.login(t, from, p.ann); got != want {
				t.Errorf("%s: the login succeeded: %v, want %v", from, got, want)
			}
		}
		settings := *p.current()
		settings.Limits.Penalties.Max = 0 // turned off by a reload
		p.Apply(settings)
		if !p.login(t, "[2001:db8::1]:1000", p.ann) {
			t.Error("refused although penalties are off")
		}
	})
}

// TestPenalties_Reasons checks the penalty for each kind of connection without a login.
func TestPenalties_Reasons(t *testing.T) {
	for name, tc := range map[string]struct {
		connect func(t *testing.T, p *penaltyTest)
		want    time.Duration
	}{
		"closed at once": {func(t *testing.T, p *penaltyTest) { p.response(t, p.from) }, time.Second},
		"garbage": {func(t *testing.T, p *penaltyTest) {
			conn, _ := p.listener.dialFrom(p.from)
			io.WriteString(conn, "GET / HTTP/1.1\r\n")
			io.Copy(io.Discard, conn)
		}, time.Second},
		"silent": {func(t *testing.T, p *penaltyTest) {
			conn, _ := p.listener.dialFrom(p.from)
			io.Copy(io.Discard, conn)
		}, 10 * time.Second},
		"no key":      {func(t *testing.T, p *penaltyTest) { p.dial(t, "ann") }, time.Second},
		"unknown key": {func(t *testing.T, p *penaltyTest) { p.dial(t, "ann", p.mallory) }, 5 * time.Second},
		"login":       {func(t *testing.T, p *penaltyTest) { p.login(t, p.from, p.ann) }, 0},
		"displaced": {func(t *testing.T, p *penaltyTest) {
			c := newConnection(&memoryConn{in: newMemoryPipe(), out: newMemoryPipe(), remote: addr(p.from)}, p.current().Limits)
			c.displaced.Store(true)
			c.Close()
			p.penalize(c, metrics.NoHandshake)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPenaltyTest(t, sshdPenalties)
				p.from = "192.0.2.1:1000"
				tc.connect(t, p)
				synctest.Wait()
				p.penalties.mu.Lock()
				known := p.penalties.networks[netip.MustParsePrefix("192.0.2.1/32")]
				p.penalties.mu.Unlock()
				if got := max(0, time.Until(known.until)); got != tc.want {
					t.Errorf("the penalty is %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestPenalties_MaxAndBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p penalties
		one := netip.MustParsePrefix(network(0))
		for range 1000 {
			p.add(one, 5*time.Second, sshdPenalties)
		}
		if got := p.left(one); got != 10*time.Minute {
			t.Errorf("got %s, want the maximum", got)
		}
		for i := range 2 * maxPenalized {
			p.add(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), time.Minute,
				sshdPenalties)
		}
		if n := len(p.networks); n != maxPenalized {
			t.Errorf("%d networks are stored, want %d", n, maxPenalized)
		}
		time.Sleep(2 * time.Minute)
		p.add(netip.MustParsePrefix("192.0.2.1/32"), time.Minute, sshdPenalties)
		if n := len(p.networks); n != 2 {
			t.Errorf("%d networks are stored after the penalties have decayed, want 2", n)
		}
	})
}
