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
	// maxConns stays below the 100 connections that Nomad allows from one address by default, and leaves room
	// for a second gateway process while one replaces the other. What exceeds it waits.
	maxConns = 80

	dialTimeout = 3 * time.Second
	listTimeout = 10 * time.Second // for all that a listing asks of a cluster
)

// Client is one tier.
type Client struct {
	tier Tier
	api  *api.Client
}

var _ backends.Cluster = (*Client)(nil)

// Open returns a client for each tier, by name. It contacts nobody. Tiers with the same URL and TLS settings are
// one cluster and share its connections. Certificate files are read here; one that is missing is an error.
func Open(tiers ...Tier) (map[string]backends.Cluster, error) {
	type address struct {
		url string
		tls backends.TLS
	}
	transports := map[address]*http.Transport{}
	clients := map[string]backends.Cluster{}
	for _, tier := range tiers {
		at := address{tier.URL, tier.TLS}
		if transports[at] == nil {
			transport, err := newTransport(tier.TLS)
			if err != nil {
				return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
			}
			transports[at] = transport
		}
		client, err := api.NewClient(&api.Config{Address: tier.URL, HttpClient: &http.Client{Transport: transports[at]}})
		if err != nil {
			return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
		}
		clients[tier.Name] = &Client{tier: tier, api: client}
	}
	return clients, nil
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
