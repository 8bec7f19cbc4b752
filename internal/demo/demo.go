// Package demo is a whole gateway for trying out: three simulated tiers, two users and throw-away keys, on
// 127.0.0.1 alone. It goes the way a real gateway goes, from a configuration file on, and nothing of it is left
// behind.
package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sim"
)

// Tiers are the names of the demo's tiers.
var Tiers = []string{"production", "quality", "test"}

// Demo is a running demo.
type Demo struct {
	Dir     string // its files: configuration, keys, ssh_config
	Address string
	clients map[string]client
	stop    func()
}

// Start starts the simulated tiers and the gateway. The port is 2222, or any when that is taken.
func Start(dir string) (*Demo, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Demo{Dir: dir, clients: map[string]client{}}
	var clusters []*sim.Cluster
	stopClusters := func() {
		for _, c := range clusters {
			c.Close()
		}
	}
	d.stop = func() { cancel(); stopClusters() }
	urls := map[string]string{}
	for _, tier := range Tiers {
		cluster := sim.Examples(tier, time.Now())
		clusters = append(clusters, cluster)
		url, err := cluster.Start()
		if err != nil {
			d.stop()
			return nil, err
		}
		urls[tier] = url
	}
	g, err := d.gateway(urls)
	if err != nil {
		d.stop()
		return nil, err
	}
	d.Address = g.Addr().String()
	if err := d.writeSSHConfig(); err != nil {
		d.stop()
		return nil, err
	}
	served := make(chan struct{})
	go func() { g.Serve(ctx); close(served) }()
	d.stop = func() { cancel(); <-served; stopClusters() }
	return d, nil
}

// Close ends the demo.
func (d *Demo) Close() { d.stop() }

// gateway writes the demo's keys and configuration and listens on what it says.
func (d *Demo) gateway(urls map[string]string) (*gateway.Gateway, error) {
	if err := d.writeKeys(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.path("nomadctld.toml"), []byte(d.config(urls)), 0o600); err != nil {
		return nil, err
	}
	c, faults := config.Load(d.path("nomadctld.toml"), gateway.Commands())
	if c == nil {
		return nil, fmt.Errorf("the demo's configuration: %v", faults)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g, err := gateway.Listen(c, log)
	if err != nil {
		c.General.Bind = "127.0.0.1:0"
		g, err = gateway.Listen(c, log)
	}
	return g, err
}

func (d *Demo) path(name string) string { return filepath.Join(d.Dir, name) }

// config returns the text of the demo's configuration.
func (d *Demo) config(urls map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[general]\nhostkey = %q\nbind = \"127.0.0.1:2222\"\n\n", d.path("hostkey"))
	fmt.Fprintf(&b, "[audit]\nfile = %q\n\n[alias]\npsp = \"ps --tier production\"\n\n", d.path("audit.jsonl"))
	for _, tier := range Tiers {
		fmt.Fprintf(&b, "[nomad.%s]\nurl = %q\nprefix = [\"%c-\"]\n\n", tier, urls[tier], tier[0])
	}
	b.WriteString("[prefix.lnx]\nprefix = [\"p-\", \"q-\", \"t-\", \"raw\"]\n\n")
	b.WriteString("[prefix.team1]\nprefix = [\"p-team1-\", \"q-team1-\", \"t-team1-\"]\n\n")
	fmt.Fprintf(&b, "[users.wim]\nname = \"Wim\"\nkey = %q\nprefix = [\"lnx\"]\n\n", d.clients["wim"].public())
	fmt.Fprintf(&b, "[users.ann]\nname = \"Ann of team 1\"\nkey = %q\nprefix = [\"team1\"]\n", d.clients["ann"].public())
	return b.String()
}

// writeSSHConfig writes an ssh_config in which each user is a host of that name.
func (d *Demo) writeSSHConfig() error {
	host, port, err := net.SplitHostPort(d.Address)
	if err != nil {
		return err
	}
	known := fmt.Sprintf("[%s]:%s %s\n", host, port, d.clients["host"].public())
	if err := os.WriteFile(d.path("known_hosts"), []byte(known), 0o600); err != nil {
		return err
	}
	var b strings.Builder
	for _, user := range Users {
		fmt.Fprintf(&b, "Host %s\n  User %s\n  IdentityFile %q\n\n", user, user, d.path(user))
	}
	fmt.Fprintf(&b, "Host *\n  HostName %s\n  Port %s\n  IdentitiesOnly yes\n  IdentityAgent none\n", host, port)
	fmt.Fprintf(&b, "  UserKnownHostsFile %q\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n", d.path("known_hosts"))
	return os.WriteFile(d.path("ssh_config"), []byte(b.String()), 0o600)
}
