// Package docker asks the Docker daemon of a node about the container of a Nomad task, with fsouza/go-dockerclient.
// What Nomad does not tell of a task, or loses on the way, is there.
package docker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

// Settings say how the Docker daemons of the nodes are reached.
type Settings struct {
	// Host is the address of a node's daemon (tcp, http, https or unix), in which {node} and {address} are filled in.
	// Empty: tcp://{node}.
	Host string

	Port string       // of a tcp Host that names none; empty: Docker's own, 2375, or 2376 with TLS
	API  string       // the version to speak where the daemon does, such as 1.24; empty: the newest that both sides know
	TLS  backends.TLS // for tcp and https. With the zero value tcp is not encrypted
	Log  *slog.Logger // for the operator; nil: none
}

// Node is a client node of Nomad. Address may be empty unless NeedsAddress.
type Node = backends.Node

const (
	connectTimeout  = 3 * time.Second
	responseTimeout = 10 * time.Second // for all that one question asks of a daemon
	logRetryTimeout = time.Minute      // for how long a log that was interrupted is asked for again

	maxIdlePerDaemon = 2
	idleTimeout      = time.Minute

	// maxDaemons bounds what is remembered where nodes come and go and never have the same name twice.
	maxDaemons = 1000
)

// Docker is the daemons of all nodes. It may be used by many at the same time.
type Docker struct {
	hosts           endpointTemplate
	pinned          dockerclient.APIVersion // nil: negotiate
	tls             *tls.Config             // nil: not encrypted
	responseTimeout time.Duration
	logRetryTimeout time.Duration
	log             *slog.Logger

	mu      sync.Mutex
	daemons map[string]*daemon // by endpoint
}

var _ backends.ContainerRuntime = (*Docker)(nil)

// Open returns the daemons that the settings describe. It contacts nobody. Certificate files are read here, and it is
// an error if one is missing, holds no certificate or key, does not fit the other, or would not be used.
func Open(s Settings) (*Docker, error) {
	config, err := s.TLS.Load()
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	hosts, err := newEndpointTemplate(s.Host, s.Port, config != nil)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	d := &Docker{hosts: hosts, tls: config, responseTimeout: responseTimeout, logRetryTimeout: logRetryTimeout, log: s.Log, daemons: map[string]*daemon{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if s.API != "" {
		if d.pinned, err = dockerclient.NewAPIVersion(s.API); err != nil {
			return nil, fmt.Errorf("docker: dockerapi: %w", err)
		}
	}
	return d, nil
}

// NeedsAddress reports whether a Node needs its Address to be reached.
func (d *Docker) NeedsAddress() bool { return d.hosts.has(addressPlaceholder) }

// daemon returns the daemon of a node, the same for all nodes with the same endpoint.
func (d *Docker) daemon(node Node) (*daemon, error) {
	endpoint, err := d.hosts.endpoint(node)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.daemons[endpoint]; known != nil {
		return known, nil
	}
	for other, forgotten := range d.daemons {
		if len(d.daemons) < maxDaemons {
			break
		}
		forgotten.http.CloseIdleConnections()
		delete(d.daemons, other)
	}
	fresh, err := newDaemon(endpoint, d.tls, d.log)
	if err != nil {
		return nil, err
	}
	d.daemons[endpoint] = fresh
	return fresh, nil
}

// newHTTPClient returns a client that knows no proxy and follows no redirect: both would lead away from the node.
func newHTTPClient(transport *http.Transport) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
