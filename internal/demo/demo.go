// Package demo is a whole gateway for trying out: three simulated tiers, two users and throw-away keys, on
// 127.0.0.1 alone. It goes the way a real gateway goes, from a configuration file on, and nothing of it is left
// behind.
package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sim"
	"nomadctld/internal/sshfiles"
)

// The names of the files; those of the users' keys are named for them.
const (
	hostKey   = "hostkey"
	tokenFile = "token"
)

var (
	tiers = []string{"production", "quality", "test"}
	users = []string{"wim", "ann"} // one who owns every job, one of a team
)

// Demo is a running demo.
type Demo struct {
	Address string
	dir     sshfiles.Dir // configuration, keys, audit log, ssh_config
	keys    map[string]ssh.Signer
	stop    func()
}

// Start starts the simulated tiers and the gateway, with its files in dir. The port is 2222, or any when that is taken.
func Start(dir string) (*Demo, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Demo{dir: sshfiles.Dir(dir), keys: map[string]ssh.Signer{}}
	var clusters []*sim.Cluster
	stopClusters := func() {
		for _, c := range clusters {
			c.Close()
		}
	}
	d.stop = func() { cancel(); stopClusters() }
	urls := map[string]string{}
	// Whoever may speak to a simulated cluster can run programs as whoever runs the demo.
	token := rand.Text()
	if err := os.WriteFile(d.dir.Path(tokenFile), []byte(token), 0o600); err != nil {
		return nil, err
	}
	for _, tier := range tiers {
		cluster := sim.Examples(tier, time.Now())
		clusters = append(clusters, cluster)
		cluster.AddToken(token, sim.Rights{Management: true})
		cluster.RunTasks()
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
	if err := d.dir.WriteConfig(d.Address, d.keys[hostKey], users...); err != nil {
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
	for _, name := range append(users, hostKey) {
		key, err := d.dir.NewKey(name)
		if err != nil {
			return nil, err
		}
		d.keys[name] = key
	}
	if err := os.WriteFile(d.dir.Path("nomadctld.toml"), []byte(d.config(urls)), 0o600); err != nil {
		return nil, err
	}
	c, faults := config.Load(d.dir.Path("nomadctld.toml"), gateway.Commands())
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

// config returns the text of the demo's configuration.
func (d *Demo) config(urls map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[general]\nhostkey = %q\nbind = \"127.0.0.1:2222\"\n\n", d.dir.Path(hostKey))
	fmt.Fprintf(&b, "[audit]\nfile = %q\n\n[alias]\npsp = \"ps --tier production\"\n\n", d.dir.Path("audit.jsonl"))
	for _, tier := range tiers {
		fmt.Fprintf(&b, "[nomad.%s]\nurl = %q\nprefix = [\"%c-\"]\ntoken = %q\n\n", tier, urls[tier], tier[0], d.dir.Path(tokenFile))
	}
	b.WriteString("[docker]\nexec = \"nomad\"\n\n") // its containers are processes
	b.WriteString("[prefix.lnx]\nprefix = [\"p-\", \"q-\", \"t-\", \"raw\"]\n\n")
	b.WriteString("[prefix.team1]\nprefix = [\"p-team1-\", \"q-team1-\", \"t-team1-\"]\n\n")
	fmt.Fprintf(&b, "[users.wim]\nname = \"Wim\"\nkey = %q\nprefix = [\"lnx\"]\n\n", sshfiles.AuthorizedKeyLine(d.keys["wim"]))
	fmt.Fprintf(&b, "[users.ann]\nname = \"Ann of team 1\"\nkey = %q\nprefix = [\"team1\"]\n", sshfiles.AuthorizedKeyLine(d.keys["ann"]))
	return b.String()
}
