// Package gateway assembles a gateway from a configuration: access control, cluster clients, the request handler, the
// audit log and the SSH server. It owns the start and the shutdown. It makes no decisions about requests.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	_ "nomadctld/commands" // registers the commands
	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/metrics"
	"nomadctld/internal/ops"
	"nomadctld/internal/sshd"
	"nomadctld/router"
)

// ShutdownGrace is the time that running commands have to finish when the gateway stops.
const ShutdownGrace = 5 * time.Second

// auditFlushTimeout bounds the wait for a stream to accept the last audit events.
const auditFlushTimeout = time.Second

// Commands returns the names of the built-in commands, which aliases cannot replace.
func Commands() []string { return router.CommandNames() }

// Gateway listens, and is ready to serve.
type Gateway struct {
	Metrics *metrics.Recorder

	log        *slog.Logger
	ops        *ops.Registry
	audit      *audit.Log
	running    router.Running
	current    atomic.Pointer[generation]
	orphans    audit.Orphans // programs that an earlier gateway left running
	server     *sshd.Server
	listener   net.Listener
	monitoring *monitoring
	control    net.Listener // nil: none
	reloads    reloads
}

// generation is a configuration and everything that was built from it. It does not change.
type generation struct {
	*parts
	requests router.Gateway
	settings sshd.Settings
}

// newGeneration connects the parts with what all generations share.
func (g *Gateway) newGeneration(p *parts) *generation {
	c := p.config
	next := &generation{parts: p, requests: router.Gateway{
		Users: aclDirectory(c), Tiers: aclTiers(c.Tiers), Aliases: c.Aliases,
		Clusters: p.clusters, Runtimes: p.runtimes, Writers: p.writers, Ops: g.ops, Raw: p.raw,
		Audit: g.audit, AuditRequired: c.Audit.Required, Log: g.log, Metrics: g.Metrics, Running: &g.running,
	}}
	next.settings = sshd.Settings{
		HostKeys: p.hostKeys, Users: next.requests.Users, Handler: next.requests.Handler(),
		Limits: sshLimits(c), Proxies: c.General.Proxies,
	}
	return next
}

// Listen builds a gateway from c and listens on its address. It makes no connections to clusters.
func Listen(c *config.Config, log *slog.Logger) (*Gateway, error) {
	g := &Gateway{Metrics: metrics.New(), log: log}
	p, err := build(c, log, g.Metrics, nil)
	if err != nil {
		return nil, err
	}
	if g.audit, err = audit.Open(c.Audit.File, log); err != nil {
		return nil, fmt.Errorf("audit log: %w (its directory must exist and be writable by the user that nomadctld "+
			"runs as)", err)
	}
	g.audit.Metrics = g.Metrics
	g.openOperations(p)
	first := g.newGeneration(p)
	g.current.Store(first)
	g.reloads.files = c.Source.Files()
	listener, err := listen(c.General.Bind)
	if err != nil {
		return nil, err
	}
	if g.monitoring, err = listenMonitoring(c, g.Metrics, g.audit, g.auditRequired); err != nil {
		listener.Close()
		return nil, err
	}
	if g.control, err = listenControl(c.General.Control); err != nil {
		listener.Close()
		g.monitoring.close()
		return nil, err
	}
	if g.orphans, err = g.audit.FindOrphans(); err != nil {
		log.Warn(orphansNotSearched, "error", err)
	}
	g.listener = g.Metrics.Listener(listener)
	g.server = &sshd.Server{Settings: first.settings, Log: log, Record: g.audit.Record, Metrics: g.Metrics}
	g.running.Apply(first.requests)
	g.Metrics.CountConnections(g.server.Connections)
	g.Metrics.CountSlots(slotsOf(p.clients))
	g.Metrics.Started()
	return g, nil
}

// openOperations sets the registry of operations, and logs what it finds in its directory.
func (g *Gateway) openOperations(p *parts) {
	registry, problems := ops.Open(p.config.Audit.Jobs, p.jobKeys...)
	g.ops = registry
	registry.Cluster = func(tier string) string { return g.current.Load().runtimes.ClusterOf(tier) }
	registry.OnEvict = func(s ops.SavedDefinition) {
		g.log.Warn("removed the oldest saved job definition to stay below the size limit", "kind", s.Kind,
			"job", s.Job.ID, "tier", s.Job.Tier, "namespace", s.Job.Namespace, "user", s.User, "saved", s.Time)
	}
	for _, problem := range problems {
		g.log.Error("ignoring an invalid saved job definition", "error", problem)
	}
	for _, s := range registry.Restorable() {
		command := "ops --restore " + s.ID
		g.log.Warn("a restart was interrupted, and the job may be stopped or changed; restore it with: "+command,
			"job", s.Job.ID, "tier", s.Job.Tier, "namespace", s.Job.Namespace, "user", s.User, "saved", s.Time)
	}
}

func (g *Gateway) auditRequired() bool { return g.current.Load().config.Audit.Required }

// HostKeys returns the host keys, in the order of the configuration.
func (g *Gateway) HostKeys() []HostKey {
	now := g.current.Load()
	return describeHostKeys(now.config.General.HostKeys, now.hostKeys)
}

// Addr returns the address that the gateway listens on.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Serve accepts connections until ctx is done. Then running commands and background operations have ShutdownGrace to
// finish. While it serves, it also kills the programs that an earlier gateway left running.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer g.orphans.Release()
	monitored, stopMonitoring := context.WithCancel(context.WithoutCancel(ctx)) // until the gateway has stopped
	var monitoring sync.WaitGroup
	monitoring.Go(func() { g.monitoring.serve(monitored, g.log) })
	defer func() { stopMonitoring(); monitoring.Wait() }()
	defer context.AfterFunc(ctx, g.monitoring.stop)()
	var control sync.WaitGroup
	control.Go(func() { g.serveControl(ctx) })
	control.Go(func() { watch(ctx, g.watchedFiles, g.reloadChanged) })
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		g.killOrphans(ctx)
	}()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		<-ctx.Done()
		g.ops.Close("the gateway is being stopped")
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownGrace)
		defer cancel()
		g.ops.Wait(grace)
	}()
	err := g.server.Serve(ctx, g.listener, ShutdownGrace)
	stop()
	<-finished
	control.Wait()
	select { // so that the audit log has an event for every killed program
	case <-killed:
	case <-time.After(ShutdownGrace):
	}
	g.audit.Close(auditFlushTimeout)
	return err
}

// killOrphans kills the programs that an earlier gateway left running.
func (g *Gateway) killOrphans(ctx context.Context) {
	events, err := g.orphans.Events()
	if err != nil {
		g.log.Warn(orphansNotSearched, "error", err)
	}
	router.KillOrphans(ctx, events, func() router.Gateway { return g.current.Load().requests })
}

const orphansNotSearched = "cannot search for programs that an earlier gateway left running"
