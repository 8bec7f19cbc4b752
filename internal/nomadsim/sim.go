// Package nomadsim simulates the HTTP API of Nomad 2.0.5 inside the process, for the demo and for tests. It holds
// exactly the jobs that were described, starts in a millisecond, and fails on demand. Its responses are tested against
// recordings of a real Nomad in testdata/recordings. It must not depend on the gateway.
package nomadsim

import (
	"net/http"
	"sync"
)

// Cluster is a simulated Nomad region with one server. It is safe for concurrent use.
type Cluster struct {
	store     *stateStore
	scheduler *scheduler
	agents    *agents
	acl       acl
	journal   journal
	faults    faults
	meter     trafficMeter
	limiter   limiter
	mux       *http.ServeMux
	closed    chan struct{}
	closeOnce sync.Once
}

// New returns a cluster at index 1 with the namespace "default", without nodes and jobs, with ACL off and a limit of
// 100 connections for each client address. It implements http.Handler. Start makes it listen.
func New() *Cluster {
	c := &Cluster{store: newStateStore(), closed: make(chan struct{}), mux: http.NewServeMux()}
	c.acl.tokens = make(map[string]*token)
	c.agents = newAgents(c.store)
	c.scheduler = newScheduler(c.agents)
	c.agents.connect(c.scheduler)
	// Like Nomad's mux, this redirects unclean paths, which matters for a job ID such as "a//b".
	c.mux.HandleFunc("/", c.serve)
	c.limiter.max = 100
	c.meter.reset()
	return c
}

// Close closes all connections, ends all waiting requests, and stops listening. When it returns, all processes of the
// cluster are killed and their files are removed.
func (c *Cluster) Close() {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.limiter.stop()
		c.store.close()
		c.agents.removeFiles()
	})
}
