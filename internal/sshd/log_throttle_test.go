package sshd

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLogThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type summary struct{ suppressed, networks int }
		var got []summary
		th := newLogThrottle(func(suppressed, networks int) { got = append(got, summary{suppressed, networks}) })
		allowed := 0
		try := func(from string) {
			if th.allow(networkOf(addr(from))) {
				allowed++
			}
		}
		for range 100 {
			try("192.0.2.1:1")
		}
		if allowed != maxPerNetwork {
			t.Errorf("%d events of one network, want %d", allowed, maxPerNetwork)
		}
		if try("192.0.2.2:1"); allowed != maxPerNetwork+1 {
			t.Error("one network suppresses the events of another")
		}
		time.Sleep(reportInterval + time.Second)
		synctest.Wait()
		if want := []summary{{94, 1}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		allowed = 0
		for i := range 5000 { // at the same time, from as many networks
			try(net.JoinHostPort(network(i)[:len(network(i))-3], "1"))
		}
		if allowed != maxPerMinute {
			t.Errorf("%d events of many networks, want %d", allowed, maxPerMinute)
		}
		if len(th.networks) > maxThrottledNetworks || len(th.suppressedFrom) > maxThrottledNetworks {
			t.Errorf("%d and %d networks are stored", len(th.networks), len(th.suppressedFrom))
		}
		th.flush()
		if last := got[len(got)-1]; last.suppressed != 5000-maxPerMinute || len(got) != 2 {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("got %v: nothing was suppressed any more", got)
		}
	})
}
