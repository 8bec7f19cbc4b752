package sshd

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// arrivals adds clients to an admission and records whose connection was closed.
type arrivals struct {
	*admission
	closed []string
	all    map[string]*pendingLogin
}

// newArrivals returns an admission of n clients, with a quarter reserved, and a tenth from which it closes early.
func newArrivals(n int, seed uint64) *arrivals {
	a := &arrivals{admission: newAdmission(startups(n)), all: map[string]*pendingLogin{}}
	a.random = rand.New(rand.NewPCG(seed, 0)).Float64
	return a
}

func (a *arrivals) arrive(name, network string) {
	p := a.admission.arrive(netip.MustParsePrefix(network), func() { a.closed = append(a.closed, name) })
	a.all[name] = p
}

func network(i int) string { return fmt.Sprintf("10.%d.%d.1/32", i/256, i%256) }

func TestAdmission_OldestMakesRoom(t *testing.T) {
	a := newArrivals(64, 1) // 48 for unknown networks
	for i := range 1000 {
		a.arrive(fmt.Sprint(i), network(i))
	}
	if n := len(a.pending[0]); n > 48 || n < 40 {
		t.Errorf("%d connections are pending, want about 48", n)
	}
	if !slices.IsSortedFunc(a.closed, func(x, y string) int { return len(x) - len(y) }) || a.closed[0] != "0" ||
		a.closed[1] != "1" {
		t.Errorf("closed in the order %v", a.closed)
	}
	if slices.Contains(a.closed, "999") {
		t.Error("the newest was closed")
	}
}

func TestAdmission_DropsEarlyAtRandom(t *testing.T) {
	const tries = 5000
	curve, steep, single := MaxStartups{30, 30, 400}, MaxStartups{200, 80, 400}, MaxStartups{400, 100, 400}
	for _, tc := range []struct {
		limits    MaxStartups // 300 for unknown networks
		pending   int
		low, high float64
	}{
		{curve, 29, 0, 0},
		{curve, 30, 0.27, 0.33},
		{curve, 165, 0.62, 0.68},
		{curve, 299, 0.98, 1},
		{curve, 300, 1, 1},
		{steep, 199, 0, 0},
		{steep, 200, 0.77, 0.83},
		{steep, 250, 0.87, 0.93},
		{single, 299, 0, 0},
		{single, 300, 1, 1},
		{MaxStartups{1, 1, 1}, 0, 0, 0},
		{MaxStartups{1, 1, 1}, 1, 1, 1},
	} {
		a := newArrivals(1, 7)
		a.resize(tc.limits)
		for i := range tc.pending {
			a.pending[0] = append(a.pending[0], &pendingLogin{network: netip.MustParsePrefix(network(i))})
		}
		hits := 0
		for range tries {
			if a.victim(&pendingLogin{network: netip.MustParsePrefix("192.0.2.1/32")}) != nil {
				hits++
			}
		}
		if got := float64(hits) / tries; got < tc.low || got > tc.high {
			t.Errorf("%v with %d pending: rate of closed connections %.3f, want %.2f to %.2f", tc.limits, tc.pending, got,
				tc.low, tc.high)
		}
	}
}

// TestAdmission_BurstStays: a user opens many connections at the same time from an unknown address.
func TestAdmission_BurstStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(100, 1) // 75 for unknown networks, earlyStart is 10
		a.random = func() float64 { return 0 }
		for i := range 20 {
			a.arrive(fmt.Sprint(i), network(0))
		}
		if len(a.closed) > 0 {
			t.Errorf("closed %v of clients that arrived together", a.closed)
		}
		time.Sleep(earlyGrace)
		a.arrive("newest", network(0))
		if want := []string{"0"}; !slices.Equal(a.closed, want) {
			t.Errorf("closed %v once they stalled, want %v", a.closed, want)
		}
	})
}

func TestAdmission_StalledClosedFirst(t *testing.T) {
	a := newArrivals(16, 1) // 12 for unknown networks, 4 per network
	a.random = func() float64 { return 1 }
	for i := range 4 {
		name := fmt.Sprint(i)
		a.arrive(name, network(1))
		if i < 2 {
			a.markExchanging(a.all[name])
		}
	}
	a.arrive("4", network(1))
	a.arrive("5", network(1))
	a.markExchanging(a.all["4"])
	a.markExchanging(a.all["5"])
	a.arrive("6", network(1))
	if want := []string{"2", "3", "0"}; !slices.Equal(a.closed, want) {
		t.Errorf("closed %v, want %v: the stalled ones, then the oldest", a.closed, want)
	}
}

func TestAdmission_OneNetworkClosesItsOwn(t *testing.T) {
	a := newArrivals(64, 1)
	a.arrive("ann", network(0))
	for i := range 1000 { // 16 per network
		a.arrive("mallory", network(1+i%2))
	}
	if slices.Contains(a.closed, "ann") {
		t.Error("two networks closed a connection of a third")
	}
	if n := len(a.pending[0]); n > 33 {
		t.Errorf("%d connections of two networks are pending", n)
	}
}

func TestAdmission_KnownNetworksReserved(t *testing.T) {
	a := newArrivals(64, 1)
	a.arrive("login", network(0))
	a.leave(a.all["login"], true)
	a.arrive("ann", network(0))
	for i := range 10000 {
		a.arrive("mallory", network(1+i))
	}
	if slices.Contains(a.closed, "ann") {
		t.Error("an unknown network closed the connection of a known one")
	}
	for i := range 100 { // a known network cannot exceed the reserve
		a.arrive(fmt.Sprint(i), network(0))
	}
	if n := len(a.pending[1]); n != 16 {
		t.Errorf("%d connections, want at most the reserve of 16", n)
	}
}

func TestAdmission_NoLeaks(t *testing.T) {
	a := newArrivals(64, 3)
	for i := range 500 {
		a.arrive(fmt.Sprint(i), network(i%40))
	}
	for name, p := range a.all { // closed connections leave, too
		a.leave(p, name == "499")
	}
	if len(a.pending[0])+len(a.pending[1]) != 0 {
		t.Errorf("%d and %d are left", len(a.pending[0]), len(a.pending[1]))
	}
}

func TestRecentNetworks_BoundedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecentNetworks(100, time.Hour)
		for i := range 1000 {
			r.add(netip.MustParsePrefix(network(i)))
			time.Sleep(time.Second)
		}
		if len(r.seen) != 100 {
			t.Errorf("%d networks stored, want 100", len(r.seen))
		}
		newest, forgotten := netip.MustParsePrefix(network(999)), netip.MustParsePrefix(network(899))
		if !r.has(newest) || r.has(forgotten) {
			t.Error("the newest networks must be stored")
		}
		time.Sleep(time.Hour)
		if r.has(newest) {
			t.Error("a network is stored for too long")
		}
	})
}

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:4000": "192.0.2.7/32", "[::ffff:192.0.2.7]:4000": "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:4000": "2001:db8:1:2::/64", "[fe80::1%eth0]:4000": "fe80::/64",
	} {
		if got := networkOf(addr(address)); got.String() != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	if got := networkOf(addr("pipe")); got.IsValid() {
		t.Errorf("pipe: got %s", got)
	}
}

type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }

// TestHandshake_TimeLimits measures when a client that stalls is disconnected.
func TestHandshake_TimeLimits(t *testing.T) {
	limits := Limits{GreetingTimeout: 5 * time.Second, HandshakeTimeout: 30 * time.Second}
	first := kexInitPacket("aes128-ctr")
	for name, tc := range map[string]struct {
		sent []string
		want time.Duration
	}{
		"silent":               {nil, 5 * time.Second},
		"version":              {[]string{"SSH-2.0-OpenSSH_9\r\n"}, 5 * time.Second},
		"version and a packet": {[]string{"SSH-2.0-OpenSSH_9\r\n", string(first)}, 5 * time.Second},
		"two packets": {[]string{
			"SSH-2.0-OpenSSH_9\r\n", string(first),
			string(packetOf([]byte{30, 0, 0, 0, 0})),
		}, 30 * time.Second},
		"two packets, another client": {[]string{
			"SSH-2.0-x\r\n", string(first),
			string(packetOf([]byte{30, 0, 0, 0, 0})),
		}, 30 * time.Second},
		"one byte per second": {[]string{"S", "S", "H", "-", "2", ".", "0", "-", "O"}, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			start, sent := time.Now(), make(chan struct{})
			defer func() {
				client.Close()
				<-sent
			}()
			c := newConnection(server, limits)
			c.onExchange = c.extendHandshake
			go func() {
				defer close(sent)
				for _, s := range tc.sent {
					client.Write([]byte(s))
					if len(s) == 1 {
						time.Sleep(time.Second)
					}
				}
			}()
			go io.Copy(io.Discard, client)
			if _, _, err := c.exchangeVersions(); err == nil {
				io.Copy(io.Discard, c) // like the library
			}
			if took := time.Since(start); took != tc.want {
				t.Errorf("%s: closed after %s, want %s", name, took, tc.want)
			}
		})
	}
}

// TestAdmission_LoginDespiteHalfOpen opens more and more silent connections.
func TestAdmission_LoginDespiteHalfOpen(t *testing.T) {
	s := startServer(t, Limits{MaxStartups: startups(16), GreetingTimeout: time.Hour, HandshakeTimeout: time.Hour},
		whoHandler)
	before := runtime.NumGoroutine()
	var silent []net.Conn
	for i := range 200 {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
		if i%50 == 49 {
			client, err := s.dial(t, "ann", s.ann)
			if err != nil {
				t.Fatalf("after %d silent connections: %v", i+1, err)
			}
			runLine(t, client, "x")
			client.Close()
		}
	}
	for _, conn := range silent {
		conn.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}
