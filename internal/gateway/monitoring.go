package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync/atomic"

	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/health"
	"nomadctld/internal/metrics"
)

// monitoring is the HTTP listener for metrics and health. It is nil if it is off.
type monitoring struct {
	listener net.Listener
	metrics  *metrics.Recorder
	ready    []health.Condition
	stopping atomic.Bool
}

// listenMonitoring listens on the address of [metrics].
func listenMonitoring(
	c *config.Config, m *metrics.Recorder, events *audit.Log, auditRequired func() bool,
) (*monitoring, error) {
	if c.Metrics.Bind == "" {
		return nil, nil
	}
	l, err := health.Listen(c.Metrics.Bind)
	if err != nil {
		return nil, fmt.Errorf("metrics.bind: cannot listen on %w", explainListen(c.Metrics.Bind, err))
	}
	o := &monitoring{listener: l, metrics: m}
	o.ready = []health.Condition{
		{Name: "ssh server", Check: func() error { // it has a valid configuration and host keys, or it would not run
			if o.stopping.Load() {
				return errors.New("stopping")
			}
			return nil
		}},
		{Name: "audit log", Check: events.Ready, Optional: func() bool { return !auditRequired() }},
	}
	return o, nil
}

// serve serves HTTP until ctx ends.
func (o *monitoring) serve(ctx context.Context, log *slog.Logger) {
	if o == nil {
		return
	}
	if err := health.Serve(ctx, o.listener, health.Handler(o.metrics.Handler(), o.ready...)); err != nil {
		log.Error("cannot serve metrics any more", "error", err)
	}
}

// stop makes the gateway unready. serve continues.
func (o *monitoring) stop() {
	if o != nil {
		o.stopping.Store(true)
	}
}

// close closes the listener, if the gateway does not start.
func (o *monitoring) close() {
	if o != nil {
		o.listener.Close()
	}
}

// MetricsAddr returns the address of metrics and health, or nil if they are off.
func (g *Gateway) MetricsAddr() net.Addr {
	if g.monitoring == nil {
		return nil
	}
	return g.monitoring.listener.Addr()
}

// slotsOf returns a function that returns the connections of all clients.
func slotsOf(clients map[string]*nomad.Client) func() []metrics.Slots {
	return func() (all []metrics.Slots) {
		for _, tier := range slices.Sorted(maps.Keys(clients)) {
			all = append(all, clients[tier].Slots()...)
		}
		return all
	}
}
