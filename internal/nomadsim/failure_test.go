package nomadsim

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestInject_PathAndTimes(t *testing.T) {
	c := mixedCluster()
	n := dial(t, c, "")
	c.Inject(Failure{Path: "/v1/jobs", Times: 2, Status: 500, Body: "No cluster leader"})
	for range 2 {
		_, _, err := n.Jobs().List(nil)
		wantStatus(t, err, 500, "No cluster leader")
	}
	if _, _, err := n.Jobs().List(nil); err != nil {
		t.Errorf("third request: got %v, want no error", err)
	}
	id := c.Allocations("default", "p-team1-web")[0]
	c.Inject(Failure{Path: "/v1/client/allocation/" + id + "/stats", Cut: true})
	_, err := n.Allocations().Stats(&api.Allocation{ID: id}, nil)
	if err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("cut: got %v, want EOF", err)
	}
	if _, err := n.Allocations().Stats(&api.Allocation{ID: c.Allocations("default", "p-team10-web")[0]}, nil); err != nil {
		t.Errorf("another allocation: got %v, want no error", err)
	}
	c.ClearFailures()
	if _, err := n.Allocations().Stats(&api.Allocation{ID: id}, nil); err != nil {
		t.Errorf("healed: got %v, want no error", err)
	}
}

func TestInject_DelayAndHang(t *testing.T) {
	t.Parallel()
	c := mixedCluster()
	n := dial(t, c, "")
	c.Inject(Failure{Path: "/v1/jobs", Delay: 40 * time.Millisecond})
	start := time.Now()
	if _, _, err := n.Jobs().List(nil); err != nil || time.Since(start) < 40*time.Millisecond {
		t.Errorf("got %v after %v, want a response after 40ms", err, time.Since(start))
	}
	c.Inject(Failure{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := n.Nodes().List((&api.QueryOptions{}).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: got %v, want the client to give up", err)
	}
}

// TestLimit_RefusesConnections accepts several errors: Nomad writes its 429 before it reads the request, and then
// closes the connection. The client sees the 429, a broken connection, or an error of Go's transport about an early
// response ("readLoopPeekFailLocked: %!w(<nil>)").
func TestLimit_RefusesConnections(t *testing.T) {
	c := mixedCluster()
	c.LimitConnections(3)
	c.Inject(Failure{Path: "/v1/nodes", Hang: true})
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var held sync.WaitGroup
	for range 3 {
		held.Go(func() {
			n := client(t, url, "")
			n.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
		})
	}
	waitUntil(t, "three requests hang", func() bool { return c.Traffic("/v1/nodes").Requests == 3 })
	n := client(t, url, "")
	for range 5 {
		_, _, err := n.Jobs().List(nil)
		if err == nil {
			t.Errorf("fourth connection: got a response, want an error")
		}
	}
	if peak, refused := c.Connections(); peak != 3 || refused < 5 {
		t.Errorf("connections: got peak %d, refused %d, want 3 and 5 or more", peak, refused)
	}
	cancel()
	held.Wait()
	waitUntil(t, "the cluster responds after the others left", func() bool {
		_, _, err := n.Jobs().List(nil)
		return err == nil
	})
}
