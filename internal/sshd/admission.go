package sshd

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// admission bounds the number of unauthenticated connections. It always accepts the newest client and may close an
// older connection for it: a stalled client loses its slot, a client that logs in quickly keeps it. If a network
// already has perNetwork connections, a new client from it displaces one of them.
//
// If there are at least earlyStart connections, a new client displaces an older one with a probability that rises from
// earlyRate to 1 at full, as with MaxStartups of sshd. Below full, connections younger than earlyGrace stay, because an
// honest user may open many at once. The victim is a connection from the network with the most connections: the oldest
// that has not started the key exchange, or else the oldest. A quarter of the slots is reserved for networks with a
// recent login, so that strangers cannot close their connections. earlyStart counts only connections from networks
// without one.
type admission struct {
	random        func() float64  // returns a number from 0 to 1
	knownNetworks *recentNetworks // networks with a recent login

	mu               sync.Mutex         // guards the fields below
	earlyStart, full int                // thresholds, in connections of unknown networks
	earlyRate        float64            // probability at earlyStart
	reserved         int                // slots for known networks
	perNetwork       int                // slots of one network
	pending          [2][]*pendingLogin // oldest first; of unknown and of known networks
}

// pendingLogin is an unauthenticated connection.
type pendingLogin struct {
	network      netip.Prefix
	arrived      time.Time
	pendingIndex int    // index in pending: 1 if the network was known on arrival
	exchanging   bool   // the key exchange has started; guarded by admission.mu
	close        func() // closes the connection
}

const (
	earlyGrace = time.Second

	maxKnownNetworks = 1024
	knownNetworkTTL  = 12 * time.Hour
)

// newAdmission returns an admission with these limits.
func newAdmission(limits MaxStartups) *admission {
	a := &admission{random: rand.Float64, knownNetworks: newRecentNetworks(maxKnownNetworks, knownNetworkTTL)}
	a.resize(limits)
	return a
}

// resize applies limits to clients that arrive from now on. It closes no connection.
func (a *admission) resize(limits MaxStartups) {
	reserved := limits.Full / 4
	a.mu.Lock()
	defer a.mu.Unlock()
	a.full, a.reserved, a.perNetwork = max(1, limits.Full-reserved), max(1, reserved), max(1, (limits.Full+3)/4)
	a.earlyStart, a.earlyRate = max(1, min(limits.Start, a.full)), float64(limits.Rate)/100
}

// arrive accepts a client and may close an older connection. Every client that arrives must leave.
func (a *admission) arrive(network netip.Prefix, closeConn func()) *pendingLogin {
	p := &pendingLogin{network: network, arrived: time.Now(), close: closeConn}
	if a.knownNetworks.has(network) {
		p.pendingIndex = 1
	}
	a.mu.Lock()
	victim := a.victim(p)
	if victim != nil {
		a.remove(victim)
	}
	a.pending[p.pendingIndex] = append(a.pending[p.pendingIndex], p)
	a.mu.Unlock()
	if victim != nil {
		victim.close()
	}
	return p
}

// markExchanging records that a client has started the key exchange.
func (a *admission) markExchanging(p *pendingLogin) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.exchanging = true
}

// leave removes a client that has logged in or whose connection was closed.
func (a *admission) leave(p *pendingLogin, proven bool) {
	if proven {
		a.knownNetworks.add(p.network)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(p)
}

// victim returns the connection to close for p, or nil. The caller holds mu.
func (a *admission) victim(p *pendingLogin) *pendingLogin {
	all := a.pending[p.pendingIndex]
	if countFrom(all, p.network) >= a.perNetwork {
		return firstVictim(all, p.network)
	}
	start, full := a.earlyStart, a.full
	if p.pendingIndex == 1 {
		start, full = a.reserved, a.reserved
	}
	n := len(all)
	if n < start {
		return nil
	}
	candidate := firstVictim(all, busiestNetwork(all))
	closeRate := a.earlyRate + (1-a.earlyRate)*float64(n-start)/float64(full-start)
	if n < full && (time.Since(candidate.arrived) < earlyGrace || a.random() >= closeRate) {
		return nil
	}
	return candidate
}

// countFrom returns the number of connections from a network.
func countFrom(all []*pendingLogin, network netip.Prefix) (n int) {
	for _, p := range all {
		if p.network == network {
			n++
		}
	}
	return n
}

// busiestNetwork returns the network with the most connections. Of several, it returns the one with the
// oldest connection.
func busiestNetwork(all []*pendingLogin) (network netip.Prefix) {
	counts := map[netip.Prefix]int{}
	for _, p := range all {
		counts[p.network]++
	}
	highest := 0
	for _, p := range all {
		if counts[p.network] > highest {
			network, highest = p.network, counts[p.network]
		}
	}
	return network
}

// firstVictim returns the connection from a network to close first: the oldest before the key exchange, or else the
// oldest.
func firstVictim(all []*pendingLogin, network netip.Prefix) (first *pendingLogin) {
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

// remove removes p. The caller holds mu.
func (a *admission) remove(p *pendingLogin) {
	i := p.pendingIndex
	a.pending[i] = slices.DeleteFunc(a.pending[i], func(other *pendingLogin) bool { return other == p })
}

// networkOf returns the network of a client: its IPv4 address, or the /64 of its IPv6 address, because one host may
// have a whole /64.
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

// recentNetworks remembers networks for ttl. If there are more than limit, it forgets the oldest.
type recentNetworks struct {
	limit int
	ttl   time.Duration

	mu   sync.Mutex
	seen map[netip.Prefix]time.Time // guarded by mu
}

// newRecentNetworks returns an empty set.
func newRecentNetworks(limit int, ttl time.Duration) *recentNetworks {
	return &recentNetworks{limit: limit, ttl: ttl, seen: map[netip.Prefix]time.Time{}}
}

func (r *recentNetworks) has(network netip.Prefix) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, ok := r.seen[network]
	return ok && time.Since(seen) < r.ttl
}

func (r *recentNetworks) add(network netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[network]; !ok && len(r.seen) >= r.limit {
		var oldest netip.Prefix
		var oldestTime time.Time
		for other, seen := range r.seen {
			if oldestTime.IsZero() || seen.Before(oldestTime) {
				oldest, oldestTime = other, seen
			}
		}
		delete(r.seen, oldest)
	}
	r.seen[network] = time.Now()
}
