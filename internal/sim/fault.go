package sim

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is what goes wrong with requests. Delay comes first and, alone, is only a delay.
type Fault struct {
	Path         string // a pattern of a route or a path; "" is every one
	Method       string // "GET", "PUT", which is also POST, or "DELETE"; "" is every one
	Times        int    // of how many requests; 0 is all
	Delay        time.Duration
	Status       int // answer with this and Body
	Body         string
	Cut          bool // cut the connection without an answer; without a connection, ServeHTTP panics with http.ErrAbortHandler
	Hang         bool // do not answer until the client leaves
	LoseResponse bool // carry the request out, and cut the connection in place of its answer
}

type faults struct {
	mu       sync.Mutex
	active   []*activeFault
	noLeader time.Time // until then
}

type activeFault struct {
	Fault
	hits int
}

// Inject adds a fault, and returns how to ask how many requests it has struck. It panics when no route fits its path: a
// fault that never strikes hides a mistake.
func (c *Cluster) Inject(f Fault) (struck func() int) {
	known := func(r route) bool {
		_, fits := match(r.pattern, f.Path)
		return fits || r.pattern == f.Path
	}
	if strings.Contains(f.Path, "*") || f.Path != "" && !slices.ContainsFunc(routes, known) {
		panic("sim: no route fits the path " + f.Path)
	}
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	added := &activeFault{Fault: f}
	c.faults.active = append(c.faults.active, added)
	return func() int {
		c.faults.mu.Lock()
		defer c.faults.mu.Unlock()
		return added.hits
	}
}

// ClearFaults takes all faults away; requests that hang stay as they are.
func (c *Cluster) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active, c.faults.noLeader = nil, time.Time{}
}

// LoseLeader lets the servers be without a leader for so long, or until Heal when it is 0: what needs one is answered
// with a 500. A stale read needs none, and neither does what a client of the cluster answers.
func (c *Cluster) LoseLeader(d time.Duration) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.noLeader = time.Now().Add(d)
	if d == 0 {
		c.faults.noLeader = time.Now().AddDate(100, 0, 0)
	}
}

var errNoLeader = httpError{http.StatusInternalServerError, "No cluster leader"}

func (f *faults) leaderless(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, stale := r.URL.Query()["stale"]
	return time.Now().Before(f.noLeader) && !strings.HasPrefix(r.URL.Path, "/v1/client/") && (!stale || r.Method != "GET")
}

// use returns the faults of a request in the order they were injected, and uses them up.
func (f *faults) use(method, path string) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit []Fault
	for _, a := range f.active {
		_, fits := match(a.Path, path)
		if (a.Path != "" && !fits) || (a.Method != "" && a.Method != method) || (a.Times > 0 && a.hits == a.Times) {
			continue
		}
		a.hits++
		hit = append(hit, a.Fault)
		if a.Status != 0 || a.Cut || a.Hang || a.LoseResponse {
			break
		}
	}
	return hit
}

// applyFaults lets the faults of a request happen and reports whether that was all of its answer, or else whether the answer
// is to be lost.
func (c *Cluster) applyFaults(w http.ResponseWriter, r *http.Request) (answered, lost bool) {
	for _, f := range c.faults.use(r.Method, r.URL.Path) {
		c.delay(r, f.Delay)
		switch {
		case f.Hang:
			c.hang(r)
		case f.Cut:
			panic(http.ErrAbortHandler)
		case f.Status != 0:
			refuse(w, httpError{f.Status, f.Body})
			return true, false
		case f.LoseResponse:
			return false, true
		}
	}
	if c.faults.leaderless(r) {
		refuse(w, errNoLeader)
		return true, false
	}
	return false, false
}

// delay waits for d. When the client leaves or the cluster is closed before that, the request ends there, as that
// of hang does: net/http's own way to end one without an answer is this panic, which it catches.
func (c *Cluster) delay(r *http.Request, d time.Duration) {
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
