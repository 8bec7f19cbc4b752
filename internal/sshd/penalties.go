package sshd

import (
	"net/netip"
	"sync"
	"time"

	"nomadctld/internal/authkeys"
	"nomadctld/internal/metrics"
)

// PenaltyLimits configures penalties. The zero value means none.
type PenaltyLimits struct {
	AuthFail time.Duration  // for a failed login
	Min, Max time.Duration  // no effect below Min; capped at Max, which may be 0 for no penalties
	Exempt   []netip.Prefix // networks without penalties
}

// These penalties are those of sshd. They apply if a client disconnects or times out before it has tried a wrong key or
// signature.
const (
	noAuthPenalty  = time.Second
	timeoutPenalty = 10 * time.Second
)

// penalties refuses connections from networks from which logins fail, as PerSourcePenalties of sshd does. The penalties
// of a network add up, and decay by a second per second. When they exceed Min, connections are refused until they have
// decayed. Only the network counts: a penalty for a login name would let anyone lock out its user. The zero value is
// ready to use.
type penalties struct {
	mu       sync.Mutex
	networks map[netip.Prefix]penalty // guarded by mu
	pruned   time.Time                // guarded by mu
}

// penalty is the remaining penalty of a network.
type penalty struct {
	until  time.Time
	active bool // connections are refused
}

// maxPenalized bounds the number of networks. Further ones get no penalty.
const maxPenalized = 1 << 16

// left returns the time for which connections from a network are refused, or 0.
func (p *penalties) left(network netip.Prefix) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.networks[network]; known.active {
		return max(0, time.Until(known.until))
	}
	return 0
}

// add adds a penalty to a network.
func (p *penalties) add(network netip.Prefix, d time.Duration, limits PenaltyLimits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	known, ok := p.networks[network]
	if !ok && len(p.networks) >= maxPenalized {
		p.prune(now)
		if len(p.networks) >= maxPenalized {
			return
		}
	}
	if known.until.Before(now) {
		known = penalty{until: now}
	}
	left := min(known.until.Sub(now)+d, limits.Max)
	if p.networks == nil {
		p.networks = map[netip.Prefix]penalty{}
	}
	p.networks[network] = penalty{now.Add(left), known.active || left > limits.Min}
}

// prune deletes the penalties that have decayed, at most once a second. The caller holds mu.
func (p *penalties) prune(now time.Time) {
	if now.Sub(p.pruned) < time.Second {
		return
	}
	p.pruned = now
	for network, known := range p.networks {
		if known.until.Before(now) {
			delete(p.networks, network)
		}
	}
}

// exempts reports whether a client gets no penalties.
func (l PenaltyLimits) exempts(c *connection) bool {
	return l.Max == 0 || c.ofProxy || !c.network.IsValid() || authkeys.InNetworks(addressOf(c.RemoteAddr()), l.Exempt)
}

// isPenalized reports whether a new connection is refused because of failed logins from its network.
func (s *Server) isPenalized(c *connection) bool {
	return !s.current().Limits.Penalties.exempts(c) && s.penalties.left(c.network) > 0
}

// penalize adds the penalty for a connection that ended without a login. A displaced connection gets none, because the
// gateway closed it.
func (s *Server) penalize(c *connection, reason metrics.LoginFailureReason) {
	limits := s.current().Limits.Penalties
	if limits.exempts(c) || c.displaced.Load() {
		return
	}
	d := noAuthPenalty
	switch {
	case reason == metrics.UserLimit: // the client has proven a key
		return
	case reason == metrics.UnknownKey, reason == metrics.RefusedKey, reason == metrics.ForgedSignature:
		d = limits.AuthFail
	case c.timedOut.Load():
		d = timeoutPenalty
	}
	s.penalties.add(c.network, d, limits)
}
