// Package gateway assembles a gateway from a configuration: access control, cluster clients, the request handler, the
// audit log and the SSH server. It owns the start and the shutdown. It makes no decisions about requests.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/backends/nomad"
	_ "nomadctld/commands" // registers the commands
	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/metrics"
	"nomadctld/internal/nomadcli"
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

	ops      *ops.Registry
	audit    *audit.Log
	requests router.Gateway
	orphans  audit.Orphans // programs that an earlier gateway left running
	server   *sshd.Server
	listener net.Listener
	hostKeys []HostKey

	monitoring *monitoring
}

// parts are the components that depend only on the configuration.
type parts struct {
	clusters map[string]*clusterview.Shared
	writers  map[string]backends.ClusterWriter
	runtimes *router.RuntimeSelector
	raw      *router.Raw
	hostKeys []ssh.Signer
	jobKeys  []ops.Key // one for each host key
	slots    func() []metrics.Slots
}

// Check returns the host keys of a gateway that is built from c, or an error if none can be built. It makes no
// connections and changes no files.
func Check(c *config.Config) ([]HostKey, error) {
	p, err := build(c, nil, nil)
	if err != nil {
		return nil, err
	}
	return describeHostKeys(c.General.HostKeys, p.hostKeys), nil
}

// build creates the parts. It makes no connections. The parts store the logger and the recorder, which may be nil.
func build(c *config.Config, log *slog.Logger, m *metrics.Recorder) (p parts, err error) {
	clients, err := nomad.Open(nomadTiers(c.Tiers, m, log)...)
	if err != nil {
		return p, err
	}
	if p.runtimes, err = newRuntimes(c, clients, log); err != nil {
		return p, err
	}
	p.slots = slotsOf(clients)
	p.clusters, p.writers = map[string]*clusterview.Shared{}, map[string]backends.ClusterWriter{}
	for tier, client := range clients {
		p.clusters[tier] = clusterview.New(client)
		p.writers[tier] = client
	}
	if p.raw, err = newRaw(c); err != nil {
		return p, err
	}
	var keys [][]byte
	for _, file := range c.General.HostKeys {
		pem, err := os.ReadFile(file)
		if err != nil {
			return p, fmt.Errorf("host key: %w", err)
		}
		keys = append(keys, pem)
		jobKey, err := ops.NewKey(pem)
		if err != nil {
			return p, fmt.Errorf("host key: %w", err)
		}
		p.jobKeys = append(p.jobKeys, jobKey)
	}
	if p.hostKeys, err = sshd.ParseHostKeys(keys...); err != nil {
		return p, fmt.Errorf("host key: %w", err)
	}
	return p, nil
}

// Listen builds a gateway from c and listens on its address. It makes no connections to clusters.
func Listen(c *config.Config, log *slog.Logger) (*Gateway, error) {
	m := metrics.New()
	p, err := build(c, log, m)
	if err != nil {
		return nil, err
	}
	events, err := audit.Open(c.Audit.File, log)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w (its directory must exist and be writable by the user that nomadctld "+
			"runs as)", err)
	}
	events.Metrics = m
	registry, problems := ops.Open(c.Audit.Jobs, p.jobKeys...)
	registry.Cluster = clusterOf(c.Tiers)
	registry.OnEvict = func(s ops.SavedDefinition) {
		log.Warn("removed the oldest saved job definition to stay below the size limit", "kind", s.Kind,
			"job", s.Job.ID, "tier", s.Job.Tier, "namespace", s.Job.Namespace, "user", s.User, "saved", s.Time)
	}
	for _, problem := range problems {
		log.Error("ignoring an invalid saved job definition", "error", problem)
	}
	for _, s := range registry.Restorable() {
		command := "ops --restore " + s.ID
		log.Warn("a restart was interrupted, and the job may be stopped or changed; restore it with: "+command,
			"job", s.Job.ID, "tier", s.Job.Tier, "namespace", s.Job.Namespace, "user", s.User, "saved", s.Time)
	}
	users := aclDirectory(c)
	requests := router.Gateway{
		Users: users, Tiers: aclTiers(c.Tiers), Aliases: c.Aliases,
		Clusters: p.clusters, Runtimes: p.runtimes, Writers: p.writers, Ops: registry, Raw: p.raw,
		Audit: events, AuditRequired: c.Audit.Required, Log: log, Metrics: m,
	}
	listener, err := listen(c.General.Bind)
	if err != nil {
		return nil, err
	}
	monitoring, err := listenMonitoring(c, m, events)
	if err != nil {
		listener.Close()
		return nil, err
	}
	orphans, err := events.FindOrphans()
	if err != nil {
		log.Warn(orphansNotSearched, "error", err)
	}
	g := &Gateway{
		Metrics: m, monitoring: monitoring, listener: m.Listener(listener),
		hostKeys: describeHostKeys(c.General.HostKeys, p.hostKeys),
		ops:      registry, audit: events, requests: requests, orphans: orphans,
		server: &sshd.Server{
			HostKeys: p.hostKeys, Users: users, Handler: requests.Handler(), Log: log, Record: events.Record, Metrics: m,
			Limits: sshd.Limits{
				Sessions: c.Limits.Sessions, Connections: c.Limits.Connections,
				Unauthenticated: c.Limits.Unauthenticated, IdleTimeout: c.Limits.Idle,
				User: sshd.UserLimits{Connections: c.Limits.User.Connections, Sessions: c.Limits.User.Sessions},
			},
		},
	}
	m.CountConnections(g.server.Connections)
	m.CountSlots(p.slots)
	m.Started()
	return g, nil
}

// HostKeys returns the host keys, in the order of the configuration.
func (g *Gateway) HostKeys() []HostKey { return g.hostKeys }

// Addr returns the address that the gateway listens on.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Serve accepts connections until ctx is done. Then running commands and background operations have ShutdownGrace to
// finish. While it serves, it also kills the programs that an earlier gateway left running.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer g.orphans.Release()
	monitored, stopMonitoring := context.WithCancel(context.WithoutCancel(ctx)) // until the gateway has stopped
	defer stopMonitoring()
	go g.monitoring.serve(monitored, g.requests.Log)
	defer context.AfterFunc(ctx, g.monitoring.stop)()
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
		g.requests.Log.Warn(orphansNotSearched, "error", err)
	}
	g.requests.KillOrphans(ctx, events)
}

const orphansNotSearched = "cannot search for programs that an earlier gateway left running"

// clusterOf returns a function that identifies the cluster of a tier. Several tiers may share a cluster.
func clusterOf(tiers []config.Tier) func(tier string) string {
	return func(tier string) string {
		i := slices.IndexFunc(tiers, func(t config.Tier) bool { return t.Name == tier })
		if i < 0 { // a saved job of a tier that was removed from the configuration
			return tier
		}
		return tiers[i].URL
	}
}

// newRaw returns the settings with which the command raw runs the nomad binary.
func newRaw(c *config.Config) (*router.Raw, error) {
	for _, words := range c.Raw.Allow {
		if !nomadcli.IsKnownPrefix(words) {
			return nil, fmt.Errorf("raw.allow: %q is not a nomad command that raw can run", words)
		}
	}
	return &router.Raw{
		Binary: nomadcli.Binary{Path: c.General.NomadBinary, Allow: c.Raw.Allow, User: c.Raw.User},
		Cluster: func(name string) (nomadcli.Cluster, error) {
			i := slices.IndexFunc(c.Tiers, func(t config.Tier) bool { return t.Name == name })
			t := c.Tiers[i]
			cluster := nomadcli.Cluster{URL: t.URL}
			var err error
			if cluster.TLS, err = t.TLS.Load(); err != nil {
				return cluster, fmt.Errorf("the certificates of tier %s cannot be read; tell the gateway's operator",
					name)
			}
			if cluster.Token, err = nomad.ReadToken(t.TokenFile); err != nil {
				return cluster, fmt.Errorf("the token of tier %s cannot be read; tell the gateway's operator", name)
			}
			return cluster, nil
		},
	}, nil
}

func aclTiers(tiers []config.Tier) []acl.Tier {
	var all []acl.Tier
	for _, t := range tiers {
		all = append(all, acl.Tier{Name: t.Name, Aliases: t.Aliases, Prefixes: t.Prefixes})
	}
	return all
}

func aclGroup(g config.Group) acl.Group {
	rights := router.ExpandGrants(g.Commands)
	if g.Raw && !slices.Contains(rights, "raw") {
		rights = append(rights, "raw")
	}
	return acl.Group{
		Name: g.Name, Prefixes: g.Prefixes, Rights: rights, Granted: g.Commands, Namespaces: g.Namespaces,
		From: g.From, Require: aclRequire(g.Require),
	}
}

// aclRequire returns what a login must prove, by right.
func aclRequire(require map[string][]string) map[string][]acl.Factor {
	all := map[string][]acl.Factor{}
	for name, factors := range require {
		rights := router.ExpandGrants([]string{name})
		if name == "" {
			rights = slices.Collect(maps.Keys(router.Rights()))
		}
		for _, right := range rights {
			for _, factor := range factors {
				all[right] = append(all[right], acl.Factor(factor))
			}
		}
	}
	for right := range all {
		slices.Sort(all[right])
		all[right] = slices.Compact(all[right])
	}
	return all
}

func aclDirectory(c *config.Config) *acl.Directory {
	rules := acl.Rules{
		CAs: c.Auth.CAs, Revoked: c.Auth.Revoked, MaxValidity: c.Auth.MaxValidity,
		Principals: map[string][]acl.Group{},
	}
	groups := func(names []string) (all []acl.Group) {
		for _, name := range names {
			all = append(all, aclGroup(c.Groups[name]))
		}
		return all
	}
	for principal, names := range c.Auth.Principals {
		rules.Principals[principal] = groups(names)
	}
	for _, u := range c.Users {
		rules.Accounts = append(rules.Accounts, acl.Account{
			User: acl.User{Login: u.Name, Name: cmp.Or(u.FullName, u.Name), Groups: groups(u.Groups)},
			Keys: u.Keys, Certificates: u.Cert, From: u.From,
		})
	}
	return acl.NewDirectory(rules)
}
