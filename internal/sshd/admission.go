package sshd

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// admission bounds how many clients may be connected without having proven a key. It always lets the newest client in, and
// closes an older connection in its place: a client that stalls loses its slot, and one that proves its key in a fraction
// of a second keeps it. From the number start on, a new client closes an older connection with a probability that rises
// from earlyRate to 1 at full, as sshd's MaxStartups does; before full, only one that has had earlyGrace, because many
// clients of an honest user may arrive at once. Which one: of the network with the most connections, the oldest whose client
// has not begun to exchange keys, or else the oldest. A quarter of the slots is reserved for networks from
// which somebody has logged in lately, so that strangers cannot close their connections.
type admission struct {
	earlyStart, full int                // of the connections of strangers
	reserved         int                // slots for networks that are known
	perNetwork       int                // slots that one network may have
	random           func() float64     // from 0 to 1
	knownNetworks    *recentNetworks    // networks from which somebody has logged in
	mu               sync.Mutex         // guards what follows
	pending          [2][]*pendingLogin // oldest first; of strangers, and of known networks
}

// pendingLogin is a connection whose client has not proven a key.
type pendingLogin struct {
	network    netip.Prefix
	arrived    time.Time
	group      int    // 1: when it came, its network was known
	exchanging bool   // its client has begun to exchange keys; guarded by admission.mu
	close      func() // closes it
}

const (
	earlyRate  = 0.3
	earlyGrace = time.Second

	maxKnownNetworks = 1024
	knownNetworkTTL  = 12 * time.Hour
)

// newAdmission returns the admission of at most n clients.
func newAdmission(n int) *admission {
	reserved := n / 4
	full := max(1, n-reserved)
	return &admission{
		earlyStart: max(1, full/10), full: full, reserved: max(1, reserved), perNetwork: max(1, (n+3)/4),
		random: rand.Float64, knownNetworks: newRecentNetworks(maxKnownNetworks, knownNetworkTTL),
	}
}

// arrive admits a client from a network. It may close an older connection. Every client that arrives has to leave.
func (a *admission) arrive(network netip.Prefix, cut func()) *pendingLogin {
	p := &pendingLogin{network: network, arrived: time.Now(), close: cut}
	if a.knownNetworks.has(network) {
		p.group = 1
	}
	a.mu.Lock()
	victim := a.victim(p)
	if victim != nil {
		a.remove(victim)
	}
	a.pending[p.group] = append(a.pending[p.group], p)
	a.mu.Unlock()
	if victim != nil {
		victim.close()
	}
	return p
}

// markExchanging takes note that a client has begun to exchange keys.
func (a *admission) markExchanging(p *pendingLogin) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.exchanging = true
}

// leave takes note that a connection was closed, or that its client has proven a key.
func (a *admission) leave(p *pendingLogin, proven bool) {
	if proven {
		a.knownNetworks.add(p.network)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(p)
}

// victim returns the connection that has to make room for p; nil: none. The caller holds mu.
func (a *admission) victim(p *pendingLogin) *pendingLogin {
	all := a.pending[p.group]
	if countFrom(all, p.network) >= a.perNetwork {
		return oldestFrom(all, p.network)
	}
	start, full := a.earlyStart, a.full
	if p.group == 1 {
		start, full = a.reserved, a.reserved
	}
	n := len(all)
	if n < start {
		return nil
	}
	first := oldestFrom(all, busiestNetwork(all))
	if n < full && (time.Since(first.arrived) < earlyGrace || a.random() >= earlyRate+(1-earlyRate)*float64(n-start)/float64(full-start)) {
		return nil
	}
	return first
}

// countFrom returns how many connections come from a network.
func countFrom(all []*pendingLogin, network netip.Prefix) (n int) {
	for _, p := range all {
		if p.network == network {
			n++
		}
	}
	return n
}

// busiestNetwork returns the network with the most connections, of several the one with the oldest.
func busiestNetwork(all []*pendingLogin) (network netip.Prefix) {
	counts := map[netip.Prefix]int{}
	for _, p := range all {
		counts[p.network]++
	}
	most := 0
	for _, p := range all {
		if counts[p.network] > most {
			network, most = p.network, counts[p.network]
		}
	}
	return network
}

// oldestFrom returns the connection from a network that has to go first.
func oldestFrom(all []*pendingLogin, network netip.Prefix) (first *pendingLogin) {
	for _, p := range all {
		switch {
		case p.network != network:
		case !p.exchanging:
			return p
		case first == nil:
			first = p
		}
	}
	return first
}

// remove forgets p. The caller holds mu.
func (a *admission) remove(p *pendingLogin) {
	a.pending[p.group] = slices.DeleteFunc(a.pending[p.group], func(other *pendingLogin) bool { return other == p })
}

// networkOf returns the network that a client counts as: its IPv4 address, or the /64 of its IPv6 address, of which one
// host may have every address.
func networkOf(address net.Addr) netip.Prefix {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits)
	return network
}

// recentNetworks remembers networks for some time, the newest of them if there are too many.
type recentNetworks struct {
	limit int
	ttl   time.Duration

	mu   sync.Mutex
	seen map[netip.Prefix]time.Time // guarded by mu
}

func newRecentNetworks(limit int, keep time.Duration) *recentNetworks {
	return &recentNetworks{limit: limit, ttl: keep, seen: map[netip.Prefix]time.Time{}}
}

func (r *recentNetworks) has(network netip.Prefix) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.seen[network]
	return ok && time.Since(at) < r.ttl
}

func (r *recentNetworks) add(network netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[network]; !ok && len(r.seen) >= r.limit {
		var first netip.Prefix
		var at time.Time
		for other, seen := range r.seen {
			if at.IsZero() || seen.Before(at) {
				first, at = other, seen
			}
		}
		delete(r.seen, first)
	}
	r.seen[network] = time.Now()
}
