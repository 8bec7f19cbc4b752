package gateway

import (
	"context"

	"nomadctld/internal/ops"
)

// Drain makes the gateway accept no new connections and no new commands, for an update. Running commands get a notice
// and continue, as do background operations. /readyz then reports that the gateway is not ready. A drain cannot be
// undone. cause is for the log.
func (g *Gateway) Drain(cause string) {
	g.log.Info("draining: accepting no new connections and commands", "cause", cause)
	g.monitoring.stop()
	g.server.Drain()
}

// WaitDrained waits until a draining gateway has no connections, commands and operations any more, or until ctx ends.
// It returns the cause in that case.
func (g *Gateway) WaitDrained(ctx context.Context) error {
	select {
	case <-g.server.Drained():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, op := range g.ops.Ops() { // no new ones can start
		op.Follow(ctx, func(ops.Note) error { return nil })
	}
	return context.Cause(ctx)
}
