// Package docker runs programs in the containers of Nomad tasks, attaches to them, and reads their logs and JSON
// through the Docker daemon of the node. It owns the connections to the daemons and translates their errors. It does
// not decide who may do what, and it never reaches a container that does not belong to the task.
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
	"nomadctld/internal/dockerhost"
	"nomadctld/internal/terminate"
	"nomadctld/internal/tlsfiles"
)

// Settings describe how to reach the Docker daemons of the nodes.
type Settings struct {
	// Host is the address of a node's daemon (tcp, http, https or unix). {node} and {address} are replaced.
	// Default: tcp://{node}.
	Host string

	Port string         // for a tcp Host without one; default 2375, or 2376 with TLS
	API  string         // such as 1.24, used if the daemon supports it; default: the newest that both support
	TLS  tlsfiles.Files // for tcp and https; the zero value does not encrypt tcp
	Log  *slog.Logger   // nil: no log
}

// Node is a Nomad client node. Address may be empty unless NeedsAddress returns true.
type Node = backends.Node

// timeouts are shorter in tests.
type timeouts struct {
	response      time.Duration // for all requests of one withClient
	logRetry      time.Duration // how long an interrupted log is retried
	firstLogRetry time.Duration // pause before the first retry
	exit          time.Duration // the daemon may report the exit of a program after it closed the streams
	streamClose   time.Duration // for a stream to close; without a reader of the output, it does not
}

var defaultTimeouts = timeouts{
	response: responseTimeout, logRetry: time.Minute, firstLogRetry: 100 * time.Millisecond, exit: 2 * time.Second,
	streamClose: 2 * time.Second,
}

const (
	connectTimeout  = 3 * time.Second
	responseTimeout = 10 * time.Second // the default

	maxIdlePerDaemon = 2
	idleTimeout      = time.Minute

	// maxDaemons bounds the memory on clusters whose node names change all the time.
	maxDaemons = 1000
)

// Docker provides access to the daemons of all nodes. It is safe for concurrent use.
type Docker struct {
	settings    Settings
	ca          string // content of settings.TLS.CA
	endpoints   endpointTemplate
	pinned      dockerclient.APIVersion // nil: negotiate
	tls         *tls.Config             // nil: not encrypted
	timeouts    timeouts
	termination terminate.Intervals
	log         *slog.Logger

	mu      sync.Mutex
	daemons map[string]*daemon // by endpoint; guarded by mu
}

var _ backends.ContainerRuntime = (*Docker)(nil)

// Open returns a Docker for the settings. It does not contact any daemon. It reads the certificate files, and returns
// an error if one is missing, invalid or unused, or if certificate and key do not match.
func Open(s Settings) (*Docker, error) { return Reopen(nil, s) }

// Reopen is Open, but returns earlier if its settings are the same. earlier may be nil.
func Reopen(earlier *Docker, s Settings) (*Docker, error) {
	ca, err := s.TLS.ReadCA()
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	if earlier != nil && earlier.settings == s && earlier.ca == string(ca) {
		return earlier, nil
	}
	config, err := s.TLS.Load()
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	endpoints, err := newEndpointTemplate(s.Host, s.Port, config != nil)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	d := &Docker{
		settings: s, ca: string(ca),
		endpoints: endpoints, tls: config, log: s.Log, daemons: map[string]*daemon{},
		timeouts: defaultTimeouts, termination: terminate.Default,
	}
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

// CloseIdle closes the idle connections.
func (d *Docker) CloseIdle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, known := range d.daemons {
		known.http.CloseIdleConnections()
	}
}

// NeedsAddress reports whether Node.Address must be set.
func (d *Docker) NeedsAddress() bool { return d.endpoints.has(dockerhost.Address) }

// daemon returns the daemon of a node. Nodes with the same endpoint share one.
func (d *Docker) daemon(node Node) (*daemon, error) {
	endpoint, err := d.endpoints.endpoint(node)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.daemons[endpoint]; known != nil {
		return known, nil
	}
	for key, old := range d.daemons {
		if len(d.daemons) < maxDaemons {
			break
		}
		old.http.CloseIdleConnections()
		delete(d.daemons, key)
	}
	added, err := newDaemon(endpoint, d.tls, d.log)
	if err != nil {
		return nil, err
	}
	d.daemons[endpoint] = added
	return added, nil
}

// newHTTPClient returns a client without proxy and redirects: both would send requests to another host than the node.
func newHTTPClient(transport *http.Transport) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
