package router

import (
	"context"
	"log/slog"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/ops"
)

// Handler answers a request. What it returns is printed once, by sshd, and sets the exit code.
type Handler func(ctx context.Context, req *Request) error

// Middleware wraps a Handler.
type Middleware func(next Handler) Handler

// Chain returns h wrapped in mw; the first listed is the outermost.
func Chain(h Handler, mw ...Middleware) Handler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}

// Gateway is what the middleware needs to know of the world.
type Gateway struct {
	Users         *acl.Directory
	Tiers         []acl.Tier
	Clusters      map[string]*backends.SharedCluster // by tier
	Runtimes      *RuntimeSelector
	Operations    map[string]backends.ClusterWriter // by tier
	Ops           *ops.Registry
	Raw           *Raw
	Aliases       map[string]string // name to command line
	Audit         *audit.Log
	AuditRequired bool // a command whose audit event cannot be written is refused
	Log           *slog.Logger
}

// Handler returns the whole way of a request.
func (g Gateway) Handler() Handler {
	return Chain(runCommand,
		recoverPanics(g.Log),
		auditRequest(g.Audit, g.AuditRequired, g.Aliases),
		authenticate(g.Users),
		expandAlias(g.Aliases),
		route,
		interruptOnCtrlC,
		limitResults(new(resultSlots)),
		authorize(g.Tiers, g.Clusters, g.Runtimes, &operationRunner{g.Ops, g.Audit, g.Log, g.Operations, g.AuditRequired}, g.Raw),
		auditStart,
	)
}
