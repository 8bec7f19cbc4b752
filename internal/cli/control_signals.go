package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"nomadctld/internal/gateway"
)

// controlSignals are the signals that do not stop the gateway. Each has its own channel, so that many of one do not
// displace another.
type controlSignals struct{ hangup, drain chan os.Signal }

// notifyControl returns the channels. There is no SIGHUP if that is ignored, as by nohup.
func notifyControl() controlSignals {
	s := controlSignals{hangup: make(chan os.Signal, 1), drain: make(chan os.Signal, 1)}
	signal.Notify(s.drain, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.hangup, syscall.SIGHUP)
	}
	return s
}

// handleControl reloads the configuration at SIGHUP and drains the gateway at SIGUSR1, until ctx ends. The gateway logs
// the results.
func handleControl(ctx context.Context, signals controlSignals, g *gateway.Gateway) {
	for {
		select {
		case <-signals.hangup:
			g.Reload("SIGHUP")
		case <-signals.drain:
			g.Drain("SIGUSR1")
		case <-ctx.Done():
			return
		}
	}
}
