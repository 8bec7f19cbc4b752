package nomad

import (
	"net"
	"net/http"
	"slices"
	"time"

	"nomadctld/internal/tlsfiles"
)

// clusterConns are the connections to a cluster. The tiers of the cluster share them.
type clusterConns struct {
	key      connsKey
	requests [3]limitedTransport // for reads, writes and writes to nodes
	streams  *streamConns
}

// connsKey determines how a cluster is reached.
type connsKey struct {
	url string
	tls tlsfiles.Files
	ca  string // content of tls.CA
}

// limitedTransport has as many connections as its budget allows.
type limitedTransport struct {
	*http.Transport
	budget *connBudget
}

// findConns returns the connections for a tier: those of known with the same key, or new ones. New connections to a
// known URL share its limits for programs and logs, because Nomad's own limit is for all of them.
func findConns(known []*clusterConns, tier Tier) (*clusterConns, error) {
	ca, err := tier.TLS.ReadCA()
	if err != nil {
		return nil, err
	}
	key := connsKey{tier.URL, tier.TLS, string(ca)}
	if i := slices.IndexFunc(known, func(c *clusterConns) bool { return c.key == key }); i >= 0 {
		return known[i], nil
	}
	reads, err := newTransport(tier.TLS)
	if err != nil {
		return nil, err
	}
	conns := &clusterConns{
		key: key,
		requests: [3]limitedTransport{
			{reads, &connBudget{kind: kindRead, capacity: maxConns}},
			{writeTransport(reads, maxWriteConns), &connBudget{kind: kindChange, capacity: maxWriteConns}},
			{writeTransport(reads, maxNodeWriteConns), &connBudget{kind: kindNodeChange, capacity: maxNodeWriteConns}},
		},
		streams: newStreamConns(tier.URL, reads.TLSClientConfig),
	}
	if i := slices.IndexFunc(known, func(c *clusterConns) bool { return c.key.url == tier.URL }); i >= 0 {
		conns.streams.shareSlots(known[i].streams)
	}
	return conns, nil
}

// CloseIdle closes the idle connections of clients that are no longer used, unless one of others shares them.
func CloseIdle(unused, others map[string]*Client) {
	for _, c := range unused {
		shared := false
		for _, other := range others {
			shared = shared || other.cluster == c.cluster
		}
		for _, transport := range c.cluster.requests {
			if !shared {
				transport.CloseIdleConnections()
			}
		}
	}
}

// writeTransport returns a transport that uses a new connection for each request. If Nomad closed an idle connection
// just when a request is sent on it, the outcome of the request would be unknown.
func writeTransport(reads *http.Transport, maxConns int) *http.Transport {
	writes := reads.Clone()
	writes.DisableKeepAlives, writes.MaxConnsPerHost = true, maxConns
	return writes
}

// newTransport returns the transport for reads.
func newTransport(settings tlsfiles.Files) (*http.Transport, error) {
	config, err := settings.Load()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: dialTimeout,
		MaxConnsPerHost:     maxConns,
		MaxIdleConnsPerHost: maxConns,
		IdleConnTimeout:     time.Minute,
	}, nil
}
