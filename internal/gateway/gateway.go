// Package gateway puts a running gateway together from a configuration: who may what, the clusters, the way of a
// request, the SSH server. It decides nothing itself.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/backends/docker"
	"nomadctld/backends/nomad"
	_ "nomadctld/commands" // they register themselves
	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/nomadcli"
	"nomadctld/internal/ops"
	"nomadctld/internal/sshd"
	"nomadctld/router"
)

// ShutdownGrace is how long running commands get to end when the gateway is stopped.
const ShutdownGrace = 5 * time.Second

// auditFlushTimeout is how long the gateway waits, before it exits, for whoever reads the audit log from a pipe.
const auditFlushTimeout = time.Second

// Commands returns the names of the built-in commands, which an alias in a configuration cannot replace.
func Commands() []string { return router.CommandNames() }

// Gateway is ready to serve.
type Gateway struct {
	ops      *ops.Registry
	audit    *audit.Log
	requests router.Gateway
	orphans  audit.Orphans // what an earlier gateway left running
	server   *sshd.Server
	listener net.Listener
}

// parts are what a gateway is built from and c alone decides.
type parts struct {
	clusters   map[string]*backends.SharedCluster
	operations map[string]backends.ClusterWriter
	runtimes   *router.RuntimeSelector
	raw        *router.Raw
	hostKeys   []ssh.Signer
	jobKeys    []ops.Key // one of each host key
}

// Check returns what of c, though well-formed, no gateway could be built from. It contacts nobody and leaves no trace.
func Check(c *config.Config) error {
	_, err := build(c, nil)
	return err
}

// build contacts nobody. log, which may be nil, hears of what shows later.
func build(c *config.Config, log *slog.Logger) (p parts, err error) {
	clients, err := nomad.Open(nomadTiers(c.Tiers)...)
	if err != nil {
		return p, err
	}
	containers, err := docker.Open(docker.Settings{
		Host: c.Docker.Host, Port: c.General.DockerPort, API: c.General.DockerAPI, TLS: backends.TLS(c.Docker.TLS), Log: log,
	})
	if err != nil {
		return p, err
	}
	p.clusters, p.operations = map[string]*backends.SharedCluster{}, map[string]backends.ClusterWriter{}
	p.runtimes = &router.RuntimeSelector{
		Docker: containers, Nomad: map[string]backends.Runtime{}, Mode: router.ExecMode(c.Docker.Exec), RefusedDrivers: c.Docker.Refuse,
		ProgramQuota: backends.NewQuota("programs", c.Limits.User.Programs), LogQuota: backends.NewQuota("logs", c.Limits.User.Logs), ClusterOf: clusterOf(c.Tiers),
	}
	for tier, client := range clients {
		p.clusters[tier] = backends.NewSharedCluster(client)
		p.runtimes.Nomad[tier] = client
		p.operations[tier] = client
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

// Listen builds the gateway that c describes and begins to listen. It contacts no cluster.
func Listen(c *config.Config, log *slog.Logger) (*Gateway, error) {
	p, err := build(c, log)
	if err != nil {
		return nil, err
	}
	events, err := audit.Open(c.Audit.File, log)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w (its folder has to be there, writable for the user that nomadctld runs as)", err)
	}
	registry, problems := ops.Open(c.Audit.Jobs, p.jobKeys...)
	registry.Cluster = clusterOf(c.Tiers)
	registry.OnEvict = func(k ops.SavedJob) {
		log.Warn("removed the oldest saved job definition: all of them together were too large", "kind", k.Kind, "job", k.Job.ID,
			"tier", k.Job.Tier, "namespace", k.Job.Namespace, "user", k.User, "since", k.Time)
	}
	for _, problem := range problems {
		log.Error("a kept job definition is refused", "error", problem)
	}
	for _, k := range registry.Restorable() {
		log.Warn("a restart did not finish, so the job may be stopped or temporarily changed; bring it back with: ops "+k.ID+" --restore",
			"job", k.Job.ID, "tier", k.Job.Tier, "namespace", k.Job.Namespace, "user", k.User, "since", k.Time)
	}
	users := aclDirectory(c)
	requests := router.Gateway{
		Users: users, Tiers: aclTiers(c.Tiers), Clusters: p.clusters, Runtimes: p.runtimes, Operations: p.operations, Ops: registry, Raw: p.raw,
		Aliases: c.Aliases,
		Audit:   events, AuditRequired: c.Audit.Required, Log: log,
	}
	listener, err := net.Listen("tcp", c.General.Bind)
	if err != nil {
		return nil, err
	}
	left, err := events.FindOrphans()
	if err != nil {
		log.Warn(orphansNotSearched, "error", err)
	}
	return &Gateway{
		listener: listener, ops: registry, audit: events, requests: requests, orphans: left,
		server: &sshd.Server{
			HostKeys: p.hostKeys, Users: users, Handler: requests.Handler(), Log: log, Record: events.Record,
			Limits: sshd.Limits{
				Sessions: c.Limits.Sessions, Connections: c.Limits.Connections,
				Unauthenticated: c.Limits.Unauthenticated, IdleTimeout: c.Limits.Idle,
				User: sshd.UserLimits{Connections: c.Limits.User.Connections, Sessions: c.Limits.User.Sessions},
			},
		},
	}, nil
}

// Addr returns the address that the gateway listens on.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Serve answers until ctx ends and running commands, and what goes on without a session, had their grace.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer g.orphans.Release()
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		g.killOrphans(ctx)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		g.ops.Close("the gateway is being stopped")
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownGrace)
		defer cancel()
		g.ops.Wait(patience)
	}()
	err := g.server.Serve(ctx, g.listener, ShutdownGrace)
	stop()
	<-ended
	select { // what was killed until now has to be on record
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

const orphansNotSearched = "programs that an earlier gateway may have left running are not looked for"

func nomadTiers(tiers []config.Tier) []nomad.Tier {
	var all []nomad.Tier
	for _, t := range tiers {
		all = append(all, nomad.Tier{Name: t.Name, URL: t.URL, TokenFile: t.TokenFile, TLS: backends.TLS(t.TLS)})
	}
	return all
}

// clusterOf returns what names the cluster of a tier: tiers may share one.
func clusterOf(tiers []config.Tier) func(tier string) string {
	return func(tier string) string {
		i := slices.IndexFunc(tiers, func(t config.Tier) bool { return t.Name == tier })
		if i < 0 { // of a definition that was kept for a tier which is not configured any more
			return tier
		}
		return tiers[i].URL
	}
}

// newRaw returns how the command raw runs the nomad binary.
func newRaw(c *config.Config) (*router.Raw, error) {
	for _, begin := range c.Raw.Allow {
		if !nomadcli.IsKnownPrefix(begin) {
			return nil, fmt.Errorf("raw.allow: %q is no command of nomad that raw could run", begin)
		}
	}
	return &router.Raw{
		Binary: nomadcli.Binary{Path: c.General.NomadBinary, Allow: c.Raw.Allow, User: c.Raw.User},
		Cluster: func(name string) (nomadcli.Cluster, error) {
			i := slices.IndexFunc(c.Tiers, func(t config.Tier) bool { return t.Name == name })
			t := c.Tiers[i]
			cluster := nomadcli.Cluster{URL: t.URL}
			var err error
			if cluster.TLS, err = backends.TLS(t.TLS).Load(); err != nil {
				return cluster, fmt.Errorf("the certificates of tier %s cannot be read; tell the gateway's operator", name)
			}
			if t.TokenFile != "" {
				token, err := os.ReadFile(t.TokenFile)
				if err != nil {
					return cluster, fmt.Errorf("the token of tier %s cannot be read; tell the gateway's operator", name)
				}
				cluster.Token = strings.TrimSpace(string(token))
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
	return acl.Group{Name: g.Name, Prefixes: g.Prefixes, Rights: rights, Granted: g.Commands, Namespaces: g.Namespaces}
}

func aclDirectory(c *config.Config) *acl.Directory {
	d := acl.NewDirectory()
	for _, u := range c.Users {
		user := acl.User{Login: u.Name, Name: u.FullName}
		if user.Name == "" {
			user.Name = u.Name
		}
		for _, name := range u.Groups {
			g := c.Groups[name]
			user.Groups = append(user.Groups, aclGroup(g))
		}
		var keys []string
		for _, key := range u.Keys {
			keys = append(keys, string(key.Marshal()))
		}
		d.Add(user, keys...)
	}
	return d
}
