// Package nomad reads and changes a Nomad cluster through its HTTP API, and runs programs in tasks and reads their
// logs through it. It owns the connections to the cluster, their limits, and the retries. It does not decide who may
// do what: callers pass only what a user owns.
package nomad

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/internal/metrics"
	"nomadctld/internal/terminate"
	"nomadctld/internal/tlsfiles"
)

// Tier is the address of a cluster and the gateway's credentials for it.
type Tier struct {
	Name      string
	URL       string
	TokenFile string // read for each read, change and exec, so that it can be rotated; empty: no token
	TLS       tlsfiles.Files
	Metrics   *metrics.Recorder // may be nil

	// OnState is called after a read with the tier's state as the read shows it, the time when the read started, and
	// the read's error as users see it. It may be called concurrently, and may be nil.
	OnState func(state TierState, started time.Time, err error)
}

const (
	// maxConns limits the connections for reads; more reads wait. All limits together are below the 100 connections
	// that Nomad accepts from one address by default.
	maxConns = 34

	maxWriteConns     = 3 // changes on the servers: they take a moment each
	maxNodeWriteConns = 5 // changes on nodes: they may take as long as a task needs to stop

	dialTimeout = 3 * time.Second
	readTimeout = 10 * time.Second // for all requests of one read

	retryBackoff      = 100 * time.Millisecond
	startPollInterval = time.Second
)

// Client is the client of one tier.
type Client struct {
	tier       Tier
	reads      *api.Client
	writes     *api.Client
	nodeWrites *api.Client
	budgets    []*connBudget // of these three
	cluster    *clusterConns
	conns      *streamConns // of cluster
	timeouts   writeTimeouts

	retryBackoff      time.Duration // before the second attempt, doubled for the next
	startPollInterval time.Duration // between requests for the log of a task that has not started
	termination       terminate.Intervals
}

var (
	_ backends.Cluster       = (*Client)(nil)
	_ backends.Runtime       = (*Client)(nil)
	_ backends.ClusterWriter = (*Client)(nil)
)

// Open returns a client for each tier, by name. It sends no request. Tiers with the same URL and TLS settings share
// their connections. Open reads the certificate files and fails if one is missing.
func Open(tiers ...Tier) (map[string]*Client, error) { return Reopen(nil, tiers...) }

// Reopen is Open for tiers whose configuration may have changed. The earlier clients stay usable. If a tier is
// unchanged, Reopen returns its earlier client. A new client shares the connections of an earlier one with the same URL
// and TLS settings. If only the URL is the same, it shares the slots for programs, logs and signals.
func Reopen(earlier map[string]*Client, tiers ...Tier) (map[string]*Client, error) {
	var known []*clusterConns
	for _, name := range slices.Sorted(maps.Keys(earlier)) {
		known = append(known, earlier[name].cluster)
	}
	clients := map[string]*Client{}
	for _, tier := range tiers {
		conns, err := findConns(known, tier)
		if err != nil {
			return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
		}
		known = append(known, conns)
		if same := earlier[tier.Name]; same != nil && same.tier.sameSettings(tier) && same.cluster == conns {
			clients[tier.Name] = same
			continue
		}
		if clients[tier.Name], err = newClient(tier, conns); err != nil {
			return nil, fmt.Errorf("tier %s: %w", tier.Name, err)
		}
	}
	return clients, nil
}

// sameSettings reports whether two tiers are reached in the same way.
func (t Tier) sameSettings(other Tier) bool {
	return t.Name == other.Name && t.URL == other.URL && t.TokenFile == other.TokenFile && t.TLS == other.TLS
}

func newClient(tier Tier, conns *clusterConns) (*Client, error) {
	client := &Client{
		tier: tier, cluster: conns, conns: conns.streams, timeouts: defaultWriteTimeouts, retryBackoff: retryBackoff,
		startPollInterval: startPollInterval, termination: terminate.Default,
	}
	for i, part := range []struct {
		client   **api.Client
		redirect func(*http.Request, []*http.Request) error
	}{
		{&client.reads, sameHost}, {&client.writes, noRedirect}, {&client.nodeWrites, noRedirect},
	} {
		shared := conns.requests[i]
		client.budgets = append(client.budgets, shared.budget)
		httpClient := &http.Client{
			Transport:     &observedTransport{shared.Transport, shared.budget, tier.Name, tier.Metrics},
			CheckRedirect: part.redirect,
		}
		var err error
		*part.client, err = api.NewClient(&api.Config{Address: tier.URL, HttpClient: httpClient})
		if err != nil {
			return nil, err
		}
	}
	return client, nil
}

// sameHost follows redirects, which Nomad returns for paths such as /v1/job/a//b, but only to the same host: the
// request contains the token.
func sameHost(request *http.Request, via []*http.Request) error {
	if request.URL.Host != via[0].URL.Host || request.URL.Scheme != via[0].URL.Scheme || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// noRedirect does not follow redirects: a redirect would turn a change into a GET, maybe of another job.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// queryOptions returns the options for a read, with the current token.
func (c *Client) queryOptions(ctx context.Context, namespace string) (*api.QueryOptions, error) {
	token, err := ReadToken(c.tier.TokenFile)
	if err != nil {
		return nil, err
	}
	q := &api.QueryOptions{Namespace: namespace, AuthToken: token}
	return q.WithContext(ctx), nil
}
