package sim

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Fault is what goes wrong with requests. Delay comes first and, alone, is only a delay.
type Fault struct {
	Path   string // a pattern of a route or a path; "" is every one
	Times  int    // of how many requests; 0 is all
	Delay  time.Duration
	Status int // answer with this and Body
	Body   string
	Cut    bool // cut the connection without an answer; without a connection, ServeHTTP panics with http.ErrAbortHandler
	Hang   bool // do not answer until the client leaves
}

type faults struct {
	mu     sync.Mutex
	active []*activeFault
}

type activeFault struct {
	Fault
	struck int
}

// Inject adds a fault. It panics when no route fits its path: a fault that never strikes hides a mistake.
func (c *Cluster) Inject(f Fault) {
	known := func(r route) bool {
		_, fits := match(r.pattern, f.Path)
		return fits || r.pattern == f.Path
	}
	if f.Path != "" && !slices.ContainsFunc(routes, known) {
		panic("sim: no route fits the path " + f.Path)
	}
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = append(c.faults.active, &activeFault{Fault: f})
}

// Heal takes all faults away; requests that hang stay as they are.
func (c *Cluster) Heal() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = nil
}

// take returns the faults of a request in the order they were injected, and uses them up.
func (f *faults) take(path string) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit []Fault
	for _, a := range f.active {
		_, fits := match(a.Path, path)
		if (a.Path != "" && !fits) || (a.Times > 0 && a.struck == a.Times) {
			continue
		}
		a.struck++
		hit = append(hit, a.Fault)
		if a.Status != 0 || a.Cut || a.Hang {
			break
		}
	}
	return hit
}

// strike lets the faults of a request happen and reports whether that was all of its answer.
func (c *Cluster) strike(w http.ResponseWriter, r *http.Request) bool {
	for _, f := range c.faults.take(r.URL.Path) {
		c.pause(r, f.Delay)
		switch {
		case f.Hang:
			c.hang(r)
		case f.Cut:
			panic(http.ErrAbortHandler)
		case f.Status != 0:
			refuse(w, failure{f.Status, f.Body})
			return true
		}
	}
	return false
}

// pause waits for d. When the client leaves or the cluster is closed before that, the request ends there, as that
// of hang does: net/http's own way to end one without an answer is this panic, which it catches.
func (c *Cluster) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-c.closed:
		panic(http.ErrAbortHandler)
	}
}

// hang waits until the client leaves or the cluster is closed.
func (c *Cluster) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-c.closed:
	}
	panic(http.ErrAbortHandler)
}
