package gateway

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/crypto/ssh"

	"nomadctld/backends"
	"nomadctld/backends/docker"
	"nomadctld/backends/nomad"
	"nomadctld/config"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/metrics"
	"nomadctld/internal/ops"
	"nomadctld/internal/sshd"
	"nomadctld/router"
)

// parts are the components that depend only on the configuration. They do not change.
type parts struct {
	config     *config.Config
	tierStates *tierLog // nil: not logged
	clients    map[string]*nomad.Client
	docker     *docker.Docker
	clusters   map[string]*clusterview.Shared
	writers    map[string]backends.ClusterWriter
	runtimes   *router.RuntimeSelector
	raw        *router.Raw
	hostKeys   []ssh.Signer
	jobKeys    []ops.Key // one for each host key

	pending  []string            // settings in the file that need a restart; config has the running values
	warnings []config.Diagnostic // about the file
}

// Check returns the host keys of a gateway that is built from c, or an error if none can be built. It makes no
// connections and changes no files.
func Check(c *config.Config) ([]HostKey, error) {
	p, err := build(c, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	return describeHostKeys(c.General.HostKeys, p.hostKeys), nil
}

// build creates the parts. It makes no connections. The parts store the logger and the recorder, which may be nil. If
// earlier is not nil, the parts share the state of those that were built from an earlier configuration: connections to
// clusters whose settings are unchanged, cached responses, log streams, and what each user has open.
func build(c *config.Config, log *slog.Logger, m *metrics.Recorder, earlier *parts) (*parts, error) {
	if earlier == nil {
		earlier = &parts{}
		if log != nil {
			earlier.tierStates = newTierLog(log)
		}
	}
	p := &parts{
		config: c, tierStates: earlier.tierStates,
		clusters: map[string]*clusterview.Shared{}, writers: map[string]backends.ClusterWriter{},
	}
	var err error
	if p.clients, err = nomad.Reopen(earlier.clients, nomadTiers(c.Tiers, m, p.tierStates)...); err != nil {
		return nil, err
	}
	p.docker, err = docker.Reopen(earlier.docker, docker.Settings{
		Host: c.Docker.Host, Port: c.General.DockerPort, API: c.General.DockerAPI, TLS: c.Docker.TLS, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if p.runtimes, err = newRuntimes(c, p.clients, p.docker, earlier.runtimes); err != nil {
		return nil, err
	}
	for tier, client := range p.clients {
		if client == earlier.clients[tier] {
			p.clusters[tier] = earlier.clusters[tier]
		} else {
			p.clusters[tier] = clusterview.New(client)
		}
		p.writers[tier] = client
	}
	if err = checkRequire(c.Groups); err != nil {
		return nil, err
	}
	if p.raw, err = newRaw(c); err != nil {
		return nil, err
	}
	return p, p.readHostKeys()
}

// readHostKeys sets the host keys and the keys that are derived from them.
func (p *parts) readHostKeys() error {
	var files [][]byte
	for _, file := range p.config.General.HostKeys {
		pem, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("host key: %w", err)
		}
		files = append(files, pem)
		jobKey, err := ops.NewKey(pem)
		if err != nil {
			return fmt.Errorf("host key: %w", err)
		}
		p.jobKeys = append(p.jobKeys, jobKey)
	}
	var err error
	if p.hostKeys, err = sshd.ParseHostKeys(files...); err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	return nil
}

// closeUnused closes the idle connections of the clients in p that next does not use.
func (p *parts) closeUnused(next *parts) {
	unused := map[string]*nomad.Client{}
	for tier, client := range p.clients {
		if next.clients[tier] != client {
			unused[tier] = client
		}
	}
	nomad.CloseIdle(unused, next.clients)
	if p.docker != next.docker {
		p.docker.CloseIdle()
	}
}
