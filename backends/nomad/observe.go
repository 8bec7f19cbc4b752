package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"nomadctld/internal/metrics"
)

// Kinds of connections, as labels of metrics.
const (
	kindRead       = "read"
	kindChange     = "change"
	kindNodeChange = "node_change"
	kindProgram    = "program"
	kindLog        = "log"
	kindSignal     = "signal"
)

// Slots returns the connections of the client, by kind. Clients of the same cluster share them.
func (c *Client) Slots() []metrics.Slots {
	var all []metrics.Slots
	for _, b := range c.budgets {
		all = append(all, metrics.Slots{
			Tier: c.tier.Name, Kind: b.kind, Capacity: b.capacity, Used: int(b.used.Load()), Waiting: int(b.waiting.Load()),
		})
	}
	for _, s := range []struct {
		kind  string
		slots *fairSlots
	}{
		{kindProgram, c.conns.programSlots}, {kindLog, c.conns.logSlots}, {kindSignal, c.conns.signalSlots},
	} {
		used, waiting := s.slots.usage()
		all = append(all, metrics.Slots{
			Tier: c.tier.Name, Kind: s.kind, Capacity: s.slots.capacity, Used: used, Waiting: waiting,
		})
	}
	return all
}

// connBudget counts the requests of a transport that has at most capacity connections.
type connBudget struct {
	kind          string
	capacity      int
	used, waiting atomic.Int32
}

// observedTransport counts the requests of one tier.
type observedTransport struct {
	*http.Transport
	budget *connBudget // shared with the other tiers of the cluster
	tier   string
	record *metrics.Recorder
}

// RoundTrip implements http.RoundTripper. The request uses its connection until the response's body is closed or read
// to its end.
func (t *observedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	started := time.Now()
	var connected atomic.Pointer[time.Time] // nil: waiting for a connection
	t.budget.waiting.Add(1)
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		now := time.Now()
		if connected.CompareAndSwap(nil, &now) { // a request that is retried on a second connection has its slot already
			t.budget.waiting.Add(-1)
			t.budget.used.Add(1)
		}
	}}
	response, err := t.Transport.RoundTrip(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	release := sync.OnceFunc(func() { t.budget.used.Add(-1) })
	if since := connected.Load(); since != nil {
		started = *since
	} else {
		release = func() {}
		t.budget.waiting.Add(-1)
	}
	t.record.NomadRequest(t.tier, t.budget.kind, resultCode(request.Context(), response, err), time.Since(started))
	if err != nil {
		release()
		return nil, err
	}
	response.Body = &observedBody{response.Body, release}
	return response, nil
}

// resultCode returns the class of a response as a label. A request that its user has canceled is not an error.
func resultCode(ctx context.Context, response *http.Response, err error) string {
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return "canceled"
	case err != nil:
		return "error"
	}
	return fmt.Sprintf("%dxx", response.StatusCode/100)
}

// observedBody calls release when the response no longer uses its connection.
type observedBody struct {
	io.ReadCloser
	release func()
}

func (b *observedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *observedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
