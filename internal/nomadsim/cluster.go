// Package nomadsim simulates the HTTP API of Nomad 2.0.5 inside the process, for the demo and for tests. A cluster has
// exactly the jobs that AddJob adds from a description (type Job) and that clients register, starts in a millisecond,
// and fails on demand. Its responses are tested against recordings of a real Nomad in testdata/recordings. It must not
// depend on the gateway.
package nomadsim

import (
	"net/http"
	"sync"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/scheduler"
	"nomadctld/internal/nomadsim/store"
	"nomadctld/internal/nomadsim/wire"
)

// Cluster is a simulated Nomad region with one server. It is safe for concurrent use.
type Cluster struct {
	*wire.Controls

	store     *store.Store
	scheduler *scheduler.Scheduler
	agents    *agent.Agents
	acl       acl
	mux       *http.ServeMux
	closeOnce sync.Once
}

// New returns a cluster at index 1 with the namespace "default", without nodes and jobs, with ACL off and a limit of
// 100 connections for each client address. It implements http.Handler. Start makes it listen.
func New() *Cluster {
	var patterns []string
	for _, r := range routes {
		patterns = append(patterns, r.pattern)
	}
	c := &Cluster{Controls: wire.New(patterns), store: store.New(), mux: http.NewServeMux()}
	c.acl.tokens = make(map[string]*token)
	c.agents = agent.New(c.store)
	c.scheduler = scheduler.New(c.agents)
	c.agents.Connect(c.scheduler)
	// Like Nomad's mux, this redirects unclean paths, which matters for a job ID such as "a//b".
	c.mux.HandleFunc("/", c.serve)
	return c
}

// Close closes all connections, cancels all waiting requests, and stops listening. When it returns, all processes of
// the cluster are killed and their files are removed.
func (c *Cluster) Close() {
	c.closeOnce.Do(func() {
		wire.Close(c.Controls)
		c.store.Close()
		c.agents.RemoveFiles()
	})
}

// Start listens on a free port of 127.0.0.1 until Close, with the connection limit. It returns the URL.
func (c *Cluster) Start() (string, error) { return wire.Listen(c.Controls, c) }
