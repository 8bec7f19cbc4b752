package metrics

import (
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Directions of bytes.
const (
	received = "received"
	sent     = "sent"
)

// RefusalReason is the reason why a connection was closed before the login.
type RefusalReason string

// The reasons.
const (
	RefusedByLimit RefusalReason = "limit"     // limits.connections
	Displaced      RefusalReason = "displaced" // a newer connection took its slot: limits.maxstartups
	Penalized      RefusalReason = "penalty"   // logins from its address failed: limits.penalties
	NoProxyHeader  RefusalReason = "proxy"     // a proxy sent no PROXY header: general.proxy
)

// LoginFailureReason is the reason why a connection ended without a login. It is never a text from the client.
type LoginFailureReason string

// The reasons.
const (
	NoHandshake       LoginFailureReason = "no_handshake"        // not an SSH client, or it sent too little in time
	NoCommonAlgorithm LoginFailureReason = "no_common_algorithm" // key exchange, cipher or MAC
	NoKeyOffered      LoginFailureReason = "no_key_offered"      // an SSH client that offered no key
	UnknownKey        LoginFailureReason = "unknown_key"         // no user has that login and one of the offered keys
	RefusedKey        LoginFailureReason = "refused_key"         // a certificate, or a known key used wrongly
	NotSigned         LoginFailureReason = "not_signed"          // a user's key was offered, but nothing was signed
	ForgedSignature   LoginFailureReason = "forged_signature"    // a user's key was offered with a wrong signature
	UserLimit         LoginFailureReason = "limit"               // too many connections of the user or of all users
)

// LoginFailureReasons has every reason.
var LoginFailureReasons = []LoginFailureReason{
	NoHandshake, NoCommonAlgorithm, NoKeyOffered, UnknownKey, RefusedKey, NotSigned, ForgedSignature, UserLimit,
}

// ConnectionRefused counts a connection that was closed before the login.
func (r *Recorder) ConnectionRefused(reason RefusalReason) {
	if r != nil {
		r.refusedConnections.WithLabelValues(string(reason)).Inc()
	}
}

// LoggedIn counts a login.
func (r *Recorder) LoggedIn() {
	if r != nil {
		r.logins.Inc()
	}
}

// LoginFailed counts a connection that ended without a login.
func (r *Recorder) LoginFailed(reason LoginFailureReason) {
	if r != nil {
		r.loginFailures.WithLabelValues(string(reason)).Inc()
	}
}

// Listener returns l, with its connections and their bytes counted.
func (r *Recorder) Listener(l net.Listener) net.Listener {
	if r == nil {
		return l
	}
	return &countingListener{
		Listener: l, accepted: r.connections,
		received: r.bytes.WithLabelValues(received), sent: r.bytes.WithLabelValues(sent),
	}
}

type countingListener struct {
	net.Listener
	accepted, received, sent prometheus.Counter
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted.Inc()
	return &countingConn{Conn: conn, l: l}, nil
}

type countingConn struct {
	net.Conn
	l *countingListener
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.l.received.Add(float64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.l.sent.Add(float64(n))
	return n, err
}

// CountConnections sets the function that returns the number of open connections, before and after the login.
func (r *Recorder) CountConnections(count func() (unauthenticated, authenticated int)) {
	if r != nil {
		r.openClients.count.Store(&count)
	}
}

// connectionCollector exposes the open connections.
type connectionCollector struct {
	count atomic.Pointer[func() (unauthenticated, authenticated int)]
}

var connectionsDesc = prometheus.NewDesc(namespace+"_ssh_connections", "Open connections.", []string{"state"}, nil)

func (c *connectionCollector) Describe(descs chan<- *prometheus.Desc) { descs <- connectionsDesc }

func (c *connectionCollector) Collect(series chan<- prometheus.Metric) {
	count := c.count.Load()
	if count == nil {
		return
	}
	unauthenticated, authenticated := (*count)()
	for state, n := range map[string]int{"unauthenticated": unauthenticated, "authenticated": authenticated} {
		series <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(n), state)
	}
}
