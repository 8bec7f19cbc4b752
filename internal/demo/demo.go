// Package demo runs a complete gateway to try out: three simulated tiers, two users and throw-away keys, only on
// 127.0.0.1. Like a real gateway, it starts from a configuration file. The caller removes the directory that it passes
// to Start. Close removes the files of the simulated tasks.
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
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/sshfiles"
)

// Names of files. The key file of a user has the user's name.
const (
	hostKey   = "hostkey"
	tokenFile = "token"
)

var (
	tiers = []string{"production", "quality", "test"}
	users = []string{"wim", "ann"} // wim owns every job, ann those of one team
)

// Demo is a running demo.
type Demo struct {
	Address string
	dir     sshfiles.Dir // configuration, keys, audit log, ssh_config
	keys    map[string]ssh.Signer
	stop    func()
}

// Start starts the simulated tiers and the gateway, with its files in dir. The port is 2222, or any free port if that
// is in use.
func Start(dir string) (*Demo, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Demo{dir: sshfiles.Dir(dir), keys: map[string]ssh.Signer{}}
	var clusters []*nomadsim.Cluster
	stopClusters := func() {
		for _, c := range clusters {
			c.Close()
		}
	}
	d.stop = func() { cancel(); stopClusters() }
	urls := map[string]string{}
	// A request to a simulated cluster can run programs as the user of the demo, so the clusters require a token.
	token := rand.Text()
	if err := os.WriteFile(d.dir.Path(tokenFile), []byte(token), 0o600); err != nil {
		return nil, err
	}
	for _, tier := range tiers {
		cluster := exampleCluster(tier, time.Now())
		clusters = append(clusters, cluster)
		cluster.AddToken(token, nomadsim.Rights{Management: true})
		runTasks(cluster)
		url, err := cluster.Start()
		if err != nil {
			d.stop()
			return nil, err
		}
		urls[tier] = url
	}
	g, err := d.listen(urls)
	if err != nil {
		d.stop()
		return nil, err
	}
	d.Address = g.Addr().String()
	if err := d.dir.WriteGatewayConfig(d.Address, d.keys[hostKey], users...); err != nil {
		d.stop()
		return nil, err
	}
	served := make(chan struct{})
	go func() { g.Serve(ctx); close(served) }()
	d.stop = func() { cancel(); <-served; stopClusters() }
	return d, nil
}

// Close stops the gateway and the clusters.
func (d *Demo) Close() { d.stop() }

// listen writes the keys and the configuration, and starts to listen.
func (d *Demo) listen(urls map[string]string) (*gateway.Gateway, error) {
	for _, name := range append(users, hostKey) {
		key, err := d.dir.NewKey(name)
		if err != nil {
			return nil, err
		}
		d.keys[name] = key
	}
	if err := os.WriteFile(d.dir.Path("nomadctld.toml"), []byte(d.configText(urls)), 0o600); err != nil {
		return nil, err
	}
	c, diagnostics := config.Load(d.dir.Path("nomadctld.toml"), gateway.Commands())
	if c == nil {
		return nil, fmt.Errorf("invalid configuration of the demo: %v", diagnostics)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g, err := gateway.Listen(c, log)
	if err != nil {
		c.General.Bind = "127.0.0.1:0"
		g, err = gateway.Listen(c, log)
	}
	return g, err
}

// configText returns the text of the configuration file.
func (d *Demo) configText(urls map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[general]\nhostkey = %q\nbind = \"127.0.0.1:2222\"\n\n", d.dir.Path(hostKey))
	fmt.Fprintf(&b, "[audit]\nfile = %q\n\n[alias]\npsp = \"ps --tier production\"\n\n", d.dir.Path("audit.jsonl"))
	for _, tier := range tiers {
		fmt.Fprintf(&b, "[nomad.%s]\nurl = %q\nprefix = [\"%c-\"]\ntoken = %q\n\n", tier, urls[tier], tier[0],
			d.dir.Path(tokenFile))
	}
	b.WriteString("[docker]\nexec = \"nomad\"\n\n") // the tasks are processes, not containers
	b.WriteString("[prefix.lnx]\nprefix = [\"p-\", \"q-\", \"t-\", \"raw\"]\n\n")
	b.WriteString("[prefix.team1]\nprefix = [\"p-team1-\", \"q-team1-\", \"t-team1-\"]\n\n")
	fmt.Fprintf(&b, "[users.wim]\nname = \"Wim\"\nkey = %q\nprefix = [\"lnx\"]\n\n",
		sshfiles.AuthorizedKeyLine(d.keys["wim"]))
	fmt.Fprintf(&b, "[users.ann]\nname = \"Ann of team 1\"\nkey = %q\nprefix = [\"team1\"]\n",
		sshfiles.AuthorizedKeyLine(d.keys["ann"]))
	return b.String()
}
