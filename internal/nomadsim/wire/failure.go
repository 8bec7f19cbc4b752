package wire

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Failure is an injected failure. Delay is applied first. A Failure with only a Delay just slows requests down.
type Failure struct {
	Path   string // a path or the pattern of a route; "" matches all
	Method string // "GET", "PUT" (also matches POST) or "DELETE"; "" matches all
	Times  int    // number of requests to affect; 0 means all
	Delay  time.Duration
	Status int // respond with this status and Body
	Body   string
	// Cut closes the connection without a response. ServeHTTP panics with http.ErrAbortHandler for this.
	Cut          bool
	Hang         bool // send no response until the client disconnects
	LoseResponse bool // execute the request, then close the connection without a response
}

type failures struct {
	mu              sync.Mutex // guards the other fields
	active          []*activeFailure
	leaderlessUntil time.Time
}

type activeFailure struct {
	Failure
	hits int
}

// Inject adds a failure and returns a function that counts the affected requests. It panics if Path matches no route,
// because a failure that never applies hides a mistake in a test.
func (c *Controls) Inject(f Failure) (hits func() int) {
	known := func(pattern string) bool {
		_, fits := Match(pattern, f.Path)
		return fits || pattern == f.Path
	}
	if strings.Contains(f.Path, "*") || f.Path != "" && !slices.ContainsFunc(c.patterns, known) {
		panic("nomadsim: no route matches the path " + f.Path)
	}
	c.failures.mu.Lock()
	defer c.failures.mu.Unlock()
	added := &activeFailure{Failure: f}
	c.failures.active = append(c.failures.active, added)
	return func() int {
		c.failures.mu.Lock()
		defer c.failures.mu.Unlock()
		return added.hits
	}
}

// ClearFailures removes all failures. Requests that are already hanging keep hanging.
func (c *Controls) ClearFailures() {
	c.failures.mu.Lock()
	defer c.failures.mu.Unlock()
	c.failures.active, c.failures.leaderlessUntil = nil, time.Time{}
}

// LoseLeader leaves the servers without a leader for this time, or until ClearFailures if d is 0. Requests that need a
// leader get a 500 response. Stale reads and requests to client agents do not need one.
func (c *Controls) LoseLeader(d time.Duration) {
	c.failures.mu.Lock()
	defer c.failures.mu.Unlock()
	c.failures.leaderlessUntil = time.Now().Add(d)
	if d == 0 {
		c.failures.leaderlessUntil = time.Now().AddDate(100, 0, 0)
	}
}

func (f *failures) leaderless(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, stale := r.URL.Query()["stale"]
	return time.Now().Before(f.leaderlessUntil) && !strings.HasPrefix(r.URL.Path, "/v1/client/") &&
		(!stale || r.Method != "GET")
}

// use returns the failures that apply to a request, in the order of their injection, and counts them.
func (f *failures) use(method, path string) []Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	var applied []Failure
	for _, a := range f.active {
		_, fits := Match(a.Path, path)
		if (a.Path != "" && !fits) || (a.Method != "" && a.Method != method) || (a.Times > 0 && a.hits == a.Times) {
			continue
		}
		a.hits++
		applied = append(applied, a.Failure)
		if a.Status != 0 || a.Cut || a.Hang || a.LoseResponse {
			break
		}
	}
	return applied
}

// applyFailures applies the failures of a request. responded reports that the response is complete. lost reports that
// the request must be executed and its response dropped.
func (c *Controls) applyFailures(w http.ResponseWriter, r *http.Request) (responded, lost bool) {
	for _, f := range c.failures.use(r.Method, r.URL.Path) {
		Delay(c, r, f.Delay)
		switch {
		case f.Hang:
			Hang(c, r)
		case f.Cut:
			panic(http.ErrAbortHandler)
		case f.Status != 0:
			Refuse(w, f.Status, f.Body)
			return true, false
		case f.LoseResponse:
			return false, true
		}
	}
	if c.failures.leaderless(r) {
		Refuse(w, http.StatusInternalServerError, "No cluster leader")
		return true, false
	}
	return false, false
}

// Delay waits for d. If the client disconnects or the cluster is closed first, it panics with http.ErrAbortHandler,
// which net/http catches to end a request without a response.
func Delay(c *Controls, r *http.Request, d time.Duration) {
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

// Hang waits until the client disconnects or the cluster is closed.
func Hang(c *Controls, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-c.closed:
	}
	panic(http.ErrAbortHandler)
}
