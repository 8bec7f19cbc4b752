// Package sim is a Nomad HTTP API inside the process: a cluster that the real nomad/api client cannot tell from
// one of Nomad 2.0.5. The demo and the tests need a Nomad that starts in a millisecond, holds exactly the jobs
// that were described, answers the same on every machine, and fails on demand; a real one does none of that.
// What it answers is held against recordings of a real Nomad in testdata/recordings.
package sim

import (
	"net/http"
	"sync"
	"time"
)

// The tables whose last change X-Nomad-Index reports, as in Nomad's state store.
type table int

const (
	tableJobs table = iota
	tableSummaries
	tableAllocations
	tableEvaluations
	tableDeployments
	tableNodes
	tableNamespaces
	tableCount
)

// Cluster is one simulated Nomad region with one server. It is safe for concurrent use. Everything stored in it
// is a record that is replaced and never changed, so that an answer can be written after the lock is released.
type Cluster struct {
	mu              sync.RWMutex // guards all down to tries
	index           uint64
	changedAt       [tableCount]uint64
	changed         chan struct{} // closed and replaced by every change, which wakes blocking queries
	namespaces      []*namespace  // by name
	nodes           []*node       // by ID
	jobs            []*job        // by namespace and ID
	allocations     []*allocation // by creation
	evaluations     []*evaluation // by creation
	deployments     []*deployment // by creation
	allocationByID  map[string]*allocation
	tokens          map[string]*token       // empty: ACL is off
	runners         map[string]*allocRunner // what runs, by allocation
	processesOff    bool                    // nothing is started
	stepInterval    time.Duration           // how long a step of an order takes
	failNext        map[key]int             // how many starts of a job's allocations are still to fail
	exitCodes       map[string]int          // exit codes of allocations that do not come up, by ID
	restartTrackers map[string]*restartTracker
	journal         journal

	mux     *http.ServeMux
	closed  chan struct{}
	close   sync.Once
	faults  faults
	meter   trafficMeter
	limiter limiter
	host    agentHost
}

// New returns a cluster with the namespace "default", no node and no job, at index 1, with ACL off and 100
// connections allowed per client address. It is ready to serve as an http.Handler; Start makes it listen.
func New() *Cluster {
	c := &Cluster{
		index:           1,
		changed:         make(chan struct{}),
		allocationByID:  make(map[string]*allocation),
		tokens:          make(map[string]*token),
		runners:         make(map[string]*allocRunner),
		stepInterval:    defaultStepInterval,
		failNext:        make(map[key]int),
		exitCodes:       make(map[string]int),
		restartTrackers: make(map[string]*restartTracker),
		closed:          make(chan struct{}),
		mux:             http.NewServeMux(),
	}
	for t := range c.changedAt {
		c.changedAt[t] = c.index
	}
	// Nomad's mux redirects paths that are not clean, which a client notices with a job ID such as "a//b".
	c.mux.HandleFunc("/", c.serve)
	c.limiter.max = 100
	c.meter.reset()
	c.host.open()
	c.addNamespace("default", "Default shared namespace")
	return c
}

// Close cuts every connection, ends every request that waits, and stops listening. When it returns, no process that the
// cluster has started runs any more, and no file of them is left.
func (c *Cluster) Close() {
	c.close.Do(func() {
		close(c.closed)
		c.limiter.stop()
		c.host.close()
	})
}

// nextIndex makes one change: it raises the index, notes it for the tables that change and wakes the queries that
// wait. c.mu is held.
func (c *Cluster) nextIndex(tables ...table) uint64 {
	c.index++
	for _, t := range tables {
		c.changedAt[t] = c.index
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return c.index
}
