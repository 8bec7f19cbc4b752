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

	streamWait       = 5 * time.Second // for a slot
	handshakeTimeout = 10 * time.Second
)

// streams are the long-lived connections to a cluster: each has a connection of its own, which the transport that
// answers questions knows nothing of. Tiers of one cluster share them.
type streams struct {
	url                        string
	tls                        *tls.Config
	programs, reading, signals *backends.Slots // one for each connection

	logs *http.Transport // for those that hold a slot in reading
}

func newStreams(url string, config *tls.Config) *streams {
	return &streams{
		url: url, tls: config,
		programs: backends.NewSlots("through Nomad", maxPrograms, streamWait),
		reading:  backends.NewSlots("through Nomad", maxLogs, streamWait),
		signals:  backends.NewSlots("through Nomad", maxSignals, 0), // the context of each has a deadline
		logs: &http.Transport{
			DialContext: newDialer().DialContext, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: dialTimeout,
			ResponseHeaderTimeout: silence, DisableKeepAlives: true, // a slot is a connection
		},
	}
}

// errNoLookup is never seen: the library ignores it.
var errNoLookup = errors.New("nodes are not looked up")

// noLookup refuses ordinary requests. The library looks an allocation's node up and dials it directly, in the clear if
// the node has no TLS, before it asks the cluster; when the look-up fails, it does only the latter.
type noLookup struct{}

func (noLookup) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoLookup }

// client returns a client of the library for one websocket, and the connection that it will make. From a transport the
// library takes no more than how to dial; TLS, too, is spoken below it, so that the link sees what it writes.
func (s *streams) client() (*api.Client, *link, error) {
	address, config, err := underTLS(s.url, s.tls)
	if err != nil {
		return nil, nil, err
	}
	l := &link{tls: config}
	transport := &http.Transport{
		DialContext:  l.dial,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // a websocket is HTTP/1.1
	}
	transport.RegisterProtocol("http", noLookup{})
	transport.RegisterProtocol("https", noLookup{})
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{Transport: transport, Timeout: handshakeTimeout}})
	return client, l, err
}

// underTLS returns the address without its TLS, and the TLS to speak below it; nil where it has none.
func underTLS(address string, config *tls.Config) (string, *tls.Config, error) {
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
func (s *streams) logClient() (*api.Client, error) {
	return api.NewClient(&api.Config{Address: s.url, HttpClient: &http.Client{Transport: s.logs, CheckRedirect: sameHost}})
}
