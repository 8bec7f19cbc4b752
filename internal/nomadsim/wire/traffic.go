package wire

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
)

// Traffic counts the requests to an endpoint and the bytes of its response bodies as sent. On an upgraded connection,
// all sent bytes count.
type Traffic struct {
	Requests int
	Bytes    int64
}

type trafficMeter struct {
	mu        sync.Mutex // guards the other fields
	byPattern map[string]*Traffic
	total     Traffic
}

func (m *trafficMeter) reset(patterns []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total, m.byPattern = Traffic{}, make(map[string]*Traffic)
	for _, pattern := range patterns {
		m.byPattern[pattern] = &Traffic{}
	}
}

// meterRequest counts a request and returns a writer that counts the bytes of its response.
func (c *Controls) meterRequest(w http.ResponseWriter, pattern string) http.ResponseWriter {
	c.meter.add(pattern, Traffic{Requests: 1})
	return meteredWriter{w, &c.meter, &c.limiter, pattern}
}

func (m *trafficMeter) add(pattern string, t Traffic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Requests += t.Requests
	m.total.Bytes += t.Bytes
	if by := m.byPattern[pattern]; by != nil {
		by.Requests += t.Requests
		by.Bytes += t.Bytes
	}
}

type meteredWriter struct {
	http.ResponseWriter
	meter   *trafficMeter
	limiter *limiter
	pattern string
}

func (w meteredWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.meter.add(w.pattern, Traffic{Bytes: int64(n)})
	return n, err
}

// Hijack implements http.Hijacker. The connection is still metered, and the limiter counts it until it is closed.
func (w meteredWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return meteredConn{conn, w}, buf, nil
}

type meteredConn struct {
	net.Conn
	w meteredWriter
}

func (c meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.w.meter.add(c.w.pattern, Traffic{Bytes: int64(n)})
	return n, err
}

func (c meteredConn) CloseWrite() error {
	half, can := c.Conn.(interface{ CloseWrite() error })
	if !can {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

func (c meteredConn) Close() error {
	err := c.Conn.Close()
	c.w.limiter.untrack(c.Conn)
	return err
}

func (w meteredWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Traffic returns the traffic of one endpoint, or of all endpoints for "". pattern is the pattern of its route, such
// as "/v1/client/allocation/{id}/stats". It panics if there is no such route.
func (c *Controls) Traffic(pattern string) Traffic {
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	if pattern == "" {
		return c.meter.total
	}
	by := c.meter.byPattern[pattern]
	if by == nil {
		panic("nomadsim: no route with the pattern " + pattern)
	}
	return *by
}

// ResetTraffic resets all counts, including those of Connections. The peak restarts at the number of open connections.
func (c *Controls) ResetTraffic() {
	c.meter.reset(c.patterns)
	c.limiter.reset()
}
