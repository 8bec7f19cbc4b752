package nomad

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	maxPrograms = 24
	maxLogs     = 28 // a followed log needs one for each output
	maxSignals  = 4  // reserved, so that programs can be killed when all other slots are in use

	slotTimeout      = 5 * time.Second
	handshakeTimeout = 10 * time.Second
)

// streamConns makes the long-lived connections to a cluster, for programs and logs, and limits their number. Each
// program or log output has its own connection, which does not count towards maxConns. The tiers of a cluster share one
// streamConns.
type streamConns struct {
	url                                 string
	tls                                 *tls.Config
	programSlots, logSlots, signalSlots *fairSlots // one slot for each connection

	logTransport     *http.Transport // for holders of a log slot
	handshakeTimeout time.Duration   // of a websocket
}

func newStreamConns(url string, config *tls.Config) *streamConns {
	return &streamConns{
		url: url, tls: config, handshakeTimeout: handshakeTimeout,
		programSlots: newFairSlots("through Nomad", maxPrograms, slotTimeout),
		logSlots:     newFairSlots("through Nomad", maxLogs, slotTimeout),
		signalSlots:  newFairSlots("through Nomad", maxSignals, 0), // all callers have a deadline
		logTransport: &http.Transport{
			DialContext: newDialer().DialContext, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: dialTimeout,
			ResponseHeaderTimeout: frameTimeout, DisableKeepAlives: true, // each slot allows one connection
		},
	}
}

// shareSlots makes s use the slots of other. Call it before s is used.
func (s *streamConns) shareSlots(other *streamConns) {
	s.programSlots, s.logSlots, s.signalSlots = other.programSlots, other.logSlots, other.signalSlots
}

// errNoLookup is internal: the library ignores it.
var errNoLookup = errors.New("nodes are not looked up")

// refuseLookups rejects ordinary requests. Before an exec, the library looks up the allocation's node and tries to
// connect to it directly, without encryption if the node has no TLS. If the lookup fails, it connects to the cluster.
type refuseLookups struct{}

func (refuseLookups) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoLookup }

// websocketClient returns a library client for one websocket, and its connection. The library uses only the transport's
// DialContext. TLS is handled there as well, so that heartbeatConn sees the plain frames.
func (s *streamConns) websocketClient() (*api.Client, *websocketConn, error) {
	address, config, err := splitTLS(s.url, s.tls)
	if err != nil {
		return nil, nil, err
	}
	conn := &websocketConn{tls: config}
	transport := &http.Transport{
		DialContext:  conn.dial,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // websockets need HTTP/1.1
	}
	transport.RegisterProtocol("http", refuseLookups{})
	transport.RegisterProtocol("https", refuseLookups{})
	httpClient := &http.Client{Transport: transport, Timeout: s.handshakeTimeout}
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: httpClient})
	return client, conn, err
}

// splitTLS returns the address as http, and the TLS config for the underlying connection; nil if the address is not
// https.
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

// newDialer returns a dialer with keepalives: an idle connection notices within half a minute that its peer is lost. A
// connection with pending writes does not, because a program may read its input late.
func newDialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
}

// logClient returns a library client for logs. The caller must hold a log slot.
func (s *streamConns) logClient() (*api.Client, error) {
	httpClient := &http.Client{Transport: s.logTransport, CheckRedirect: sameHost}
	return api.NewClient(&api.Config{Address: s.url, HttpClient: httpClient})
}
