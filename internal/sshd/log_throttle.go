package sshd

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// logThrottle bounds how often the gateway records the same thing about clients that have not logged in: for each network, and
// for all of them. What it keeps back it counts.
type logThrottle struct {
	report func(suppressed, networks int) // called once a minute while something is kept back

	mu             sync.Mutex // guards what follows
	all            *rate.Limiter
	networks       map[netip.Prefix]*rate.Limiter
	suppressed     int
	suppressedFrom map[netip.Prefix]bool // networks of what is kept back
	timer          *time.Timer           // runs while something is kept back
}

const (
	maxPerNetwork        = 6 // a minute
	maxPerMinute         = 60
	maxThrottledNetworks = 1024 // networks that are told apart
	reportInterval       = time.Minute
)

func perMinute(n int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), n)
}

func newLogThrottle(report func(suppressed, networks int)) *logThrottle {
	return &logThrottle{report: report, all: perMinute(maxPerMinute), networks: map[netip.Prefix]*rate.Limiter{}, suppressedFrom: map[netip.Prefix]bool{}}
}

// allow reports whether one more event of a network is to be recorded.
func (t *logThrottle) allow(network netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.networks[network]
	if limit == nil {
		if len(t.networks) >= maxThrottledNetworks {
			clear(t.networks) // all still holds
		}
		limit = perMinute(maxPerNetwork)
		t.networks[network] = limit
	}
	if limit.Allow() && t.all.Allow() {
		return true
	}
	t.suppressed++
	if len(t.suppressedFrom) < maxThrottledNetworks {
		t.suppressedFrom[network] = true
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(reportInterval, t.flush)
	}
	return false
}

// flush reports what was kept back.
func (t *logThrottle) flush() {
	t.mu.Lock()
	suppressed, networks := t.suppressed, len(t.suppressedFrom)
	t.suppressed = 0
	clear(t.suppressedFrom)
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	if suppressed > 0 {
		t.report(suppressed, networks)
	}
}
