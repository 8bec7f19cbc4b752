// Package nomadsim simulates the HTTP API of Nomad 2.0.5 inside the process, for the demo and for tests. A cluster has
// exactly the jobs that AddJob adds from a description (type Job) and that clients register, starts in a millisecond,
// and fails on demand. Its responses are tested against recordings of a real Nomad in testdata/recordings. It must not
// depend on the gateway.
package nomadsim

import (
	"net/http"
	"sync"
	"time"
)

// table identifies a table of Nomad's state store. X-Nomad-Index reports the last change of a table.
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

// Cluster is a simulated Nomad region with one server. It is safe for concurrent use. Stored records are replaced and
// never changed, so that a response can be written after the lock is released.
type Cluster struct {
	mu              sync.RWMutex // guards the fields from index to restartTrackers
	index           uint64
	changedAt       [tableCount]uint64
	changed         chan struct{} // closed and replaced at every change, to wake blocking queries
	namespaces      []*namespace  // by name
	nodes           []*node       // by ID
	jobs            []*job        // by namespace and ID
	allocations     []*allocation // by creation
	evaluations     []*evaluation // by creation
	deployments     []*deployment // by creation
	allocationByID  map[string]*allocation
	tokens          map[string]*token       // empty: ACL is off
	runners         map[string]*allocRunner // running tasks, by allocation ID
	processesOff    bool                    // start no processes
	stepInterval    time.Duration           // duration of a simulation step
	failNext        map[key]int             // by job: number of allocation starts that will fail
	exitCodes       map[string]int          // by allocation ID: exit code of allocations that fail at every start
	restartTrackers map[string]*restartTracker
	journal         journal

	mux       *http.ServeMux
	closed    chan struct{}
	closeOnce sync.Once
	faults    faults
	meter     trafficMeter
	limiter   limiter
	host      agentHost
}

// New returns a cluster at index 1 with the namespace "default", without nodes and jobs, with ACL off and a limit of
// 100 connections for each client address. It implements http.Handler. Start makes it listen.
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
	// Like Nomad's mux, this redirects unclean paths, which matters for a job ID such as "a//b".
	c.mux.HandleFunc("/", c.serve)
	c.limiter.max = 100
	c.meter.reset()
	c.host.open()
	c.addNamespace("default", "Default shared namespace")
	return c
}

// Close closes all connections, ends all waiting requests, and stops listening. When it returns, all processes of the
// cluster are killed and their files are removed.
func (c *Cluster) Close() {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.limiter.stop()
		c.host.close()
	})
}

// nextIndex raises the index, records it for the changed tables, and wakes waiting queries. c.mu is held.
func (c *Cluster) nextIndex(tables ...table) uint64 {
	c.index++
	for _, t := range tables {
		c.changedAt[t] = c.index
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return c.index
}
