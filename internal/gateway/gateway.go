// Package gateway puts a running gateway together from a configuration: who may what, the clusters, the way of a
// request, the SSH server. It decides nothing itself.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/backends/docker"
	"nomadctld/backends/nomad"
	_ "nomadctld/commands" // they register themselves
	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/sshd"
	"nomadctld/router"
)

// Grace is how long running commands get to end when the gateway is stopped.
const Grace = 5 * time.Second

// Commands returns the names of the built-in commands, which an alias in a configuration cannot replace.
func Commands() []string { return router.Names() }

// Gateway is ready to serve.
type Gateway struct {
	server   *sshd.Server
	listener net.Listener
}

// Listen builds the gateway that c describes and begins to listen. It contacts no cluster.
func Listen(c *config.Config, log *slog.Logger) (*Gateway, error) {
	events, err := audit.Open(c.Audit.File)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	clusters, err := nomad.Open(clusterTiers(c.Tiers)...)
	if err != nil {
		return nil, err
	}
	containers, err := docker.Open(docker.Settings{
		Host: c.Docker.Host, Port: c.General.DockerPort, API: c.General.DockerAPI, TLS: backends.TLS(c.Docker.TLS),
	})
	if err != nil {
		return nil, err
	}
	shared := map[string]*backends.Shared{}
	for tier, cluster := range clusters {
		shared[tier] = backends.Share(cluster)
	}
	var keys [][]byte
	for _, file := range c.General.HostKeys {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("host key: %w", err)
		}
		keys = append(keys, pem)
	}
	hostKeys, err := sshd.ParseHostKeys(keys...)
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	users := directory(c)
	handler := router.Gateway{
		Users: users, Tiers: ownedTiers(c.Tiers), Clusters: shared, Containers: containers, Aliases: c.Aliases,
		Audit: events, Required: c.Audit.Required, Log: log,
	}.Handler()
	listener, err := net.Listen("tcp", c.General.Bind)
	if err != nil {
		return nil, err
	}
	return &Gateway{
		listener: listener,
		server: &sshd.Server{
			HostKeys: hostKeys, Users: users, Handler: handler, Log: log,
			Limits: sshd.Limits{
				Sessions: c.Limits.Sessions, Connections: c.Limits.Connections,
				Unauthenticated: c.Limits.Unauthenticated, Idle: c.Limits.Idle,
			},
		},
	}, nil
}

// Addr returns the address that the gateway listens on.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Serve answers until ctx ends and running commands had their grace.
func (g *Gateway) Serve(ctx context.Context) error { return g.server.Serve(ctx, g.listener, Grace) }

func clusterTiers(tiers []config.Tier) []nomad.Tier {
	var all []nomad.Tier
	for _, t := range tiers {
		all = append(all, nomad.Tier{Name: t.Name, URL: t.URL, TokenFile: t.TokenFile, TLS: backends.TLS(t.TLS)})
	}
	return all
}

func ownedTiers(tiers []config.Tier) []acl.Tier {
	var all []acl.Tier
	for _, t := range tiers {
		all = append(all, acl.Tier{Name: t.Name, Aliases: t.Aliases, Prefixes: t.Prefixes})
	}
	return all
}

func directory(c *config.Config) *acl.Directory {
	d := acl.NewDirectory()
	for _, u := range c.Users {
		user := acl.User{Login: u.Name, Name: u.FullName}
		if user.Name == "" {
			user.Name = u.Name
		}
		for _, name := range u.Groups {
			g := c.Groups[name]
			user.Groups = append(user.Groups, acl.Group{Prefixes: g.Prefixes, Raw: g.Raw, Commands: g.Commands, Namespaces: g.Namespaces})
		}
		var keys []string
		for _, key := range u.Keys {
			keys = append(keys, string(key.Marshal()))
		}
		d.Add(user, keys...)
	}
	return d
}
