// Package router runs the command line of an authenticated user. It owns the command table, the request, and the
// middleware that every request passes in the same order: recoverPanics, countRequests, auditRequest, authenticate,
// enforceCommand, expandAlias, route, countRunning, trackAccess, handleInterrupts, limitResults, authorize, auditStart,
// reportWaits.
// Commands must not reach a cluster except through the Access that authorize sets.
package router

import (
	"context"
	"log/slog"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/metrics"
	"nomadctld/internal/ops"
)

// Handler runs a request. sshd prints the error once and derives the exit code from it.
type Handler func(ctx context.Context, req *Request) error

// Middleware wraps a Handler.
type Middleware func(next Handler) Handler

// Chain returns h wrapped in mw; the first middleware is the outermost.
func Chain(h Handler, mw ...Middleware) Handler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}

// Gateway holds everything that the middleware uses.
type Gateway struct {
	Users         *acl.Directory
	Tiers         []acl.Tier
	Clusters      map[string]*clusterview.Shared // by tier
	Runtimes      *RuntimeSelector
	Writers       map[string]backends.ClusterWriter // by tier
	Ops           *ops.Registry
	Raw           *Raw
	Aliases       map[string]string // alias name to command line
	Audit         *audit.Log
	AuditRequired bool // refuse commands whose start event cannot be written
	Log           *slog.Logger
	Metrics       *metrics.Recorder // may be nil
	Running       *Running          // nil: not shared with another handler
}

// Handler returns the whole middleware chain around the command.
func (g Gateway) Handler() Handler {
	running := g.Running
	if running == nil {
		running = new(Running)
	}
	return Chain(runCommand,
		recoverPanics(g.Log),
		countRequests(g.Metrics),
		auditRequest(g.Audit, g.AuditRequired, g.Aliases),
		authenticate(g.Users, g.Tiers),
		enforceCommand(g.Aliases),
		expandAlias(g.Aliases),
		route,
		countRunning(g.Metrics),
		trackAccess(running, g.rules()),
		handleInterrupts,
		limitResults(&running.results),
		authorize(g.Clusters, g.Runtimes, &operationRunner{g.Ops, g.Audit, g.Log, g.Writers, g.AuditRequired},
			g.Raw),
		auditStart,
		reportWaits,
	)
}

// runCommand is the innermost handler.
func runCommand(ctx context.Context, req *Request) error { return req.Command.Run(ctx, req) }
