package wire

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter limits the open connections for each client address. As in Nomad, that includes loopback addresses.
type limiter struct {
	mu            sync.Mutex // guards the other fields
	max           int
	open          map[net.Conn]string // the client address of each connection
	peak, refused int
	responseRate  *rate.Limiter // of 429 responses
	server        *http.Server
}

// LimitConnections sets the maximum number of open connections for each client address. 0 means no limit.
func (c *Controls) LimitConnections(n int) {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.limiter.max = n
}

// Connections returns the peak number of open connections and the number of refused ones.
func (c *Controls) Connections() (peak, refused int) {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	return c.limiter.peak, c.limiter.refused
}

func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peak, l.refused = len(l.open), 0
}

func (l *limiter) stop() {
	l.mu.Lock()
	server := l.server
	l.mu.Unlock()
	if server != nil {
		server.Close()
	}
}

// track counts connections. A connection over the limit immediately gets a 429 response, before its request is read.
// After a burst of 100 such responses, it sends at most ten per second and closes the other connections without one. As
// with Nomad, a client that has already sent its request may see a reset instead of the 429.
func (l *limiter) track(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	switch state {
	case http.StateNew:
		if !l.admit(conn) {
			l.refused++
			allowed := l.responseRate.Allow()
			l.mu.Unlock()
			if allowed {
				conn.SetDeadline(time.Now().Add(10 * time.Millisecond))
				conn.Write([]byte(tooManyResponse))
			}
			conn.Close()
			return
		}
	case http.StateClosed:
		delete(l.open, conn)
	}
	l.mu.Unlock()
}

// untrack removes a hijacked connection, for which the server reports no close. As in Nomad, it is counted until it is
// closed.
func (l *limiter) untrack(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

func (l *limiter) admit(conn net.Conn) bool {
	address, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	n := 0
	for _, a := range l.open {
		if a == address {
			n++
		}
	}
	if l.max > 0 && n >= l.max {
		return false
	}
	l.open[conn] = address
	l.peak = max(l.peak, len(l.open))
	return true
}

const tooManyBody = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"

var tooManyResponse = fmt.Sprintf("HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"+
	"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(tooManyBody), tooManyBody)

// Listen serves on a free port of 127.0.0.1 until Close, with the connection limit. It returns the URL.
func Listen(c *Controls, h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start the simulated cluster: %w", err)
	}
	l := &c.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil {
		ln.Close()
		return "", fmt.Errorf("start the simulated cluster: already started")
	}
	l.open = make(map[net.Conn]string)
	l.responseRate = rate.NewLimiter(10, 100) // Nomad's values
	l.server = &http.Server{Handler: h, ConnState: l.track}
	go l.server.Serve(ln)
	return "http://" + ln.Addr().String(), nil
}
