package nomad

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

const (
	maxPrograms = 24 // at a time
	maxLogs     = 28 // the same; of a task they are two, for stdout and stderr
	maxSignals  = 4  // a program has to end also while no other could begin

	slotTimeout      = 5 * time.Second // for a slot
	handshakeTimeout = 10 * time.Second
)

// streamConns are the long-lived connections to a cluster: each has a connection of its own, which the transport that
// answers questions knows nothing of. Tiers of one cluster share them.
type streamConns struct {
	url                                 string
	tls                                 *tls.Config
	programSlots, logSlots, signalSlots *backends.Slots // one for each connection

	logTransport *http.Transport // for those that hold a slot in reading
}

func newStreamConns(url string, config *tls.Config) *streamConns {
	return &streamConns{
		url: url, tls: config,
		programSlots: backends.NewSlots("through Nomad", maxPrograms, slotTimeout),
		logSlots:     backends.NewSlots("through Nomad", maxLogs, slotTimeout),
		signalSlots:  backends.NewSlots("through Nomad", maxSignals, 0), // the context of each has a deadline
		logTransport: &http.Transport{
			DialContext: newDialer().DialContext, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: dialTimeout,
			ResponseHeaderTimeout: frameTimeout, DisableKeepAlives: true, // a slot is a connection
		},
	}
}

// errNoLookup is never seen: the library ignores it.
var errNoLookup = errors.New("nodes are not looked up")

// refuseLookups refuses ordinary requests. The library looks an allocation's node up and dials it directly, in the clear if
// the node has no TLS, before it asks the cluster; when the look-up fails, it does only the latter.
type refuseLookups struct{}

func (refuseLookups) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoLookup }

// websocketClient returns a client of the library for one websocket, and the connection that it will make. From a transport the
// library takes no more than how to dial; TLS, too, is spoken below it, so that the link sees what it writes.
func (s *streamConns) websocketClient() (*api.Client, *websocketConn, error) {
	address, config, err := splitTLS(s.url, s.tls)
	if err != nil {
		return nil, nil, err
	}
	l := &websocketConn{tls: config}
	transport := &http.Transport{
		DialContext:  l.dial,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // a websocket is HTTP/1.1
	}
	transport.RegisterProtocol("http", refuseLookups{})
	transport.RegisterProtocol("https", refuseLookups{})
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{Transport: transport, Timeout: handshakeTimeout}})
	return client, l, err
}

// splitTLS returns the address without its TLS, and the TLS to speak below it; nil where it has none.
func splitTLS(address string, config *tls.Config) (string, *tls.Config, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return address, nil, err
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "443")
	}
	u.Scheme = "http"
	return u.String(), config, nil
}

// newDialer returns a dialer whose idle connections notice within half a minute that the other side has vanished. One
// that waits for a program to read its input has no such limit: the program may take its time.
func newDialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
}

// logClient returns a client of the library for logs whose readers hold a slot.
func (s *streamConns) logClient() (*api.Client, error) {
	return api.NewClient(&api.Config{Address: s.url, HttpClient: &http.Client{Transport: s.logTransport, CheckRedirect: sameHost}})
}
