package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"nomadctld/internal/gateway"
)

// notifyControl returns a channel of SIGHUP and SIGUSR1. It gets no SIGHUP if that is ignored, as by nohup.
func notifyControl() <-chan os.Signal {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals
}

// handleControl reloads the configuration at SIGHUP and drains the gateway at SIGUSR1, until ctx ends. The gateway logs
// the results.
func handleControl(ctx context.Context, signals <-chan os.Signal, g *gateway.Gateway) {
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				g.Reload("SIGHUP")
			} else {
				g.Drain("SIGUSR1")
			}
		case <-ctx.Done():
			return
		}
	}
}
