package nomad

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"nomadctld/backends"
	"nomadctld/internal/metrics"
	"nomadctld/internal/testenv"
)

// observed returns a client of a server, and its recorder.
func observed(t *testing.T, handler http.HandlerFunc) (*Client, *metrics.Recorder) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	m := metrics.New()
	clients, err := Open(Tier{Name: "production", URL: server.URL, Metrics: m},
		Tier{Name: "quality", URL: server.URL, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	return clients["production"], m
}

// checkRequests compares the counted requests.
func checkRequests(t *testing.T, m *metrics.Recorder, series string) {
	t.Helper()
	want := `
# HELP nomadctld_nomad_requests_total HTTP requests to a tier, except those for programs and the content of logs.
# TYPE nomadctld_nomad_requests_total counter
` + series
	err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), "nomadctld_nomad_requests_total")
	if err != nil {
		t.Error(err)
	}
}

// slotsOf returns the slots of one kind.
func slotsOf(t *testing.T, c *Client, kind string) metrics.Slots {
	t.Helper()
	for _, s := range c.Slots() {
		if s.Kind == kind {
			return s
		}
	}
	t.Fatalf("got no slots of kind %s in %v", kind, c.Slots())
	return metrics.Slots{}
}

func TestRequests_Counted(t *testing.T) {
	t.Parallel()
	c, m := observed(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/job/forbidden") {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		io.WriteString(w, `{"ID":"a","Namespace":"default"}`)
	})
	for _, id := range []string{"a", "forbidden"} {
		c.Definition(t.Context(), backends.Job{Tier: "production", Namespace: "default", ID: id}, nil)
	}
	checkRequests(t, m, `
nomadctld_nomad_requests_total{code="2xx",kind="read",tier="production"} 1
nomadctld_nomad_requests_total{code="4xx",kind="read",tier="production"} 1
`)
	if got := slotsOf(t, c, kindRead); got != (metrics.Slots{Tier: "production", Kind: "read", Capacity: maxConns}) {
		t.Errorf("afterwards: got %+v, want no connection in use", got)
	}
}

func TestRequests_Unreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m := metrics.New()
	clients, err := Open(Tier{Name: "production", URL: "http://" + l.Addr().String(), Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	c := clients["production"]
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.tier.URL, nil)
	transport := &observedTransport{http.DefaultTransport.(*http.Transport), c.budgets[0], "production", m}
	if _, err := transport.RoundTrip(request); err == nil {
		t.Fatal("got a response of a closed port")
	}
	checkRequests(t, m, `
nomadctld_nomad_requests_total{code="error",kind="read",tier="production"} 1
`)
	if got := slotsOf(t, c, kindRead); got.Used != 0 || got.Waiting != 0 {
		t.Errorf("got %+v, want nothing in use", got)
	}
}

// TestSlots_UsedAndWaiting makes one request more than there are connections. The tiers of a cluster share them.
func TestSlots_UsedAndWaiting(t *testing.T) {
	t.Parallel()
	respond, arrived := make(chan struct{}), make(chan struct{}, maxConns+1)
	c, m := observed(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-respond
		io.WriteString(w, `{"ID":"a"}`)
	})
	done := make(chan struct{}, maxConns+1)
	read := func(ctx context.Context) {
		c.Definition(ctx, backends.Job{Tier: "production", Namespace: "default", ID: "a"}, nil)
		done <- struct{}{}
	}
	for range maxConns {
		go read(t.Context())
	}
	for range maxConns {
		<-arrived
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go read(ctx)
	testenv.Eventually(t, "a request waits", func() bool { return slotsOf(t, c, kindRead).Waiting > 0 })
	if got := slotsOf(t, c, kindRead); got.Used != maxConns || got.Waiting != 1 {
		t.Errorf("got %+v, want %d used and 1 waiting", got, maxConns)
	}
	cancel(io.ErrClosedPipe) // the cause of a client that disconnects
	<-done
	close(respond)
	for range maxConns {
		<-done
	}
	if got := slotsOf(t, c, kindRead); got.Used != 0 || got.Waiting != 0 {
		t.Errorf("afterwards: got %+v, want nothing in use", got)
	}
	checkRequests(t, m, `
nomadctld_nomad_requests_total{code="2xx",kind="read",tier="production"} 34
nomadctld_nomad_requests_total{code="canceled",kind="read",tier="production"} 1
`)
}

func TestSlots_ProgramsAndLogs(t *testing.T) {
	t.Parallel()
	c, _ := observed(t, http.NotFound)
	release, err := c.conns.logSlots.Acquire(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := slotsOf(t, c, kindLog); got.Used != 2 || got.Capacity != maxLogs {
		t.Errorf("got %+v, want 2 of %d used", got, maxLogs)
	}
	release()
	for _, kind := range []string{kindLog, kindProgram, kindSignal, kindChange, kindNodeChange} {
		if got := slotsOf(t, c, kind); got.Used != 0 || got.Waiting != 0 || got.Capacity == 0 {
			t.Errorf("got %+v, want a capacity and nothing in use", got)
		}
	}
}
