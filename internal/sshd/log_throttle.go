package sshd

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// logThrottle limits how often the same event of unauthenticated clients is recorded, per network and in total. It
// counts the suppressed events.
type logThrottle struct {
	report func(suppressed, networks int) // called once a minute if events were suppressed

	mu             sync.Mutex // guards the fields below
	all            *rate.Limiter
	networks       map[netip.Prefix]*rate.Limiter
	suppressed     int
	suppressedFrom map[netip.Prefix]bool // networks of the suppressed events
	timer          *time.Timer           // runs while there are suppressed events
}

const (
	maxPerNetwork        = 6 // per minute
	maxPerMinute         = 60
	maxThrottledNetworks = 1024 // networks with their own limit
	reportInterval       = time.Minute
)

// perMinute returns a limiter that allows n events per minute, in bursts of up to n.
func perMinute(n int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), n)
}

func newLogThrottle(report func(suppressed, networks int)) *logThrottle {
	return &logThrottle{
		report: report, all: perMinute(maxPerMinute),
		networks: map[netip.Prefix]*rate.Limiter{}, suppressedFrom: map[netip.Prefix]bool{},
	}
}

// allow reports whether to record an event of a network. If not, it counts the event.
func (t *logThrottle) allow(network netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.networks[network]
	if limit == nil {
		if len(t.networks) >= maxThrottledNetworks {
			clear(t.networks) // the total limit still applies
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

// flush reports the suppressed events.
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
