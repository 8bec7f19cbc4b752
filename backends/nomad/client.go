// Package nomad reaches a Nomad cluster through its HTTP API with hashicorp/nomad/api, as one tier of the gateway.
package nomad

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Tier says how a cluster is reached.
type Tier struct {
	Name      string
	URL       string
	TokenFile string // read for every command, so that it can be rotated; empty: no token
	TLS       backends.TLS
}

const (
	// maxConns is how many connections answer questions; what exceeds it waits. With the streams and the orders it stays
	// below the 100 that Nomad allows from one address by default.
	maxConns = 34

	maxWriteConns     = 3 // the same, of orders to the servers: a moment each
	maxNodeWriteConns = 5 // and to the nodes: as long as a task may take to end

	dialTimeout = 3 * time.Second
	listTimeout = 10 * time.Second // for all that a listing asks of a cluster
)

// Client is one tier.
type Client struct {
	tier       Tier
	api        *api.Client // asks
	writes     *api.Client
	nodeWrites *api.Client
	conns      *streamConns
	timeouts   writeTimeouts // of orders
}

var (
	_ backends.Cluster       = (*Client)(nil)
	_ backends.Runtime       = (*Client)(nil)
	_ backends.ClusterWriter = (*Client)(nil)
)

// Open returns a client for each tier, by name. It contacts nobody. Tiers with the same URL and TLS settings are
// one cluster and share its connections. Certificate files are read here; one that is missing is an error.
func Open(tiers ...Tier) (map[string]*Client, error) {
	type address struct {
		url string
		tls backends.TLS
	}
	type transport struct{ answers, orders, nodeOrders *http.Transport }
	transports := map[address]transport{}
	shared := map[address]*streamConns{}
	clients := map[string]*Client{}
	for _, tier := range tiers {
		at := address{tier.URL, tier.TLS}
		if _, known := transports[at]; !known {
			answers, err := newTransport(tier.TLS)
			if err != nil {
				return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
			}
			transports[at] = transport{answers, writeTransport(answers, maxWriteConns), writeTransport(answers, maxNodeWriteConns)}
			shared[at] = newStreamConns(tier.URL, answers.TLSClientConfig)
		}
		client := &Client{tier: tier, conns: shared[at], timeouts: defaultWriteTimeouts}
		for _, way := range []struct {
			client   **api.Client
			through  *http.Transport
			redirect func(*http.Request, []*http.Request) error
		}{
			{&client.api, transports[at].answers, sameHost},
			{&client.writes, transports[at].orders, noRedirect},
			{&client.nodeWrites, transports[at].nodeOrders, noRedirect},
		} {
			var err error
			*way.client, err = api.NewClient(&api.Config{Address: tier.URL, HttpClient: &http.Client{Transport: way.through, CheckRedirect: way.redirect}})
			if err != nil {
				return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
			}
		}
		clients[tier.Name] = client
	}
	return clients, nil
}

// sameHost follows redirects, which Nomad answers for paths such as /v1/job/a//b, but not with the token to another host.
func sameHost(request *http.Request, via []*http.Request) error {
	if request.URL.Host != via[0].URL.Host || request.URL.Scheme != via[0].URL.Scheme || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// noRedirect follows none: an order is for the job that it names, and a redirect makes a GET of it.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// writeTransport returns a transport of which every request has a connection of its own: on one that was kept, a request that
// crosses its end could not be told from one that was lost.
func writeTransport(answers *http.Transport, most int) *http.Transport {
	orders := answers.Clone()
	orders.DisableKeepAlives, orders.MaxConnsPerHost = true, most
	return orders
}

func newTransport(settings backends.TLS) (*http.Transport, error) {
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

// query returns the options for a read with the tier's token as it is now.
func (c *Client) query(ctx context.Context, namespace string) (*api.QueryOptions, error) {
	token, err := readToken(c.tier.TokenFile)
	if err != nil {
		return nil, err
	}
	q := &api.QueryOptions{Namespace: namespace, AuthToken: token}
	return q.WithContext(ctx), nil
}
