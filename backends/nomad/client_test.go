package nomad

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/backends/backendtest"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/internal/tlsfiles"
)

func TestMain(m *testing.M) {
	code := m.Run()
	nomadtest.StopAgent()
	os.Exit(code)
}

func open(t *testing.T, tier Tier) *Client {
	t.Helper()
	tier.Name = "production"
	clients, err := Open(tier)
	if err != nil {
		t.Fatal(err)
	}
	return clients["production"]
}

func TestClusterConformance(t *testing.T) {
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			client := open(t, Tier{URL: cluster.URL, TokenFile: nomadtest.TokenFile(t)})
			backendtest.Jobs(t, client, nomadtest.HostileJobID)
			backendtest.Details(t, client)
		})
	}
}

// newSimulated returns a simulated cluster and a client for it.
func newSimulated(t *testing.T) (*nomadsim.Cluster, backends.Cluster) {
	t.Helper()
	c := nomadsim.New()
	t.Cleanup(c.Close)
	c.AddNode(nomadsim.Node{Name: "node-1"})
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	client := open(t, Tier{URL: url})
	client.retryBackoff = time.Millisecond
	return c, client
}

func TestJobs_TokenRejected(t *testing.T) {
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			wrong := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(wrong, []byte("11111111-2222-3333-4444-555555555555"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, Tier{URL: cluster.URL, TokenFile: wrong}).Jobs(context.Background(), backends.Selection{})
			if !errors.Is(err, backends.ErrForbidden) || !strings.HasSuffix(err.Error(), "it is unknown or has expired") {
				t.Errorf("got %v, want %v for an unknown token", err, backends.ErrForbidden)
			}
			weak := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "list-jobs")})
			_, err = weak.Jobs(context.Background(), backends.Selection{})
			if !errors.Is(err, backends.ErrForbidden) ||
				!strings.Contains(err.Error(), `lacks the capability "read-job" in namespace *`) {
				t.Errorf("with list-jobs only: got %v, want the missing capability read-job", err)
			}
		})
	}
}

// TestJobs_Capabilities uses the capabilities in deploy/nomadctld-policy.hcl.
func TestJobs_Capabilities(t *testing.T) {
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			client := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "list-jobs", "read-job")})
			if got := client.NodeStates(t.Context(), []backends.Allocation{{NodeID: "1"}, {NodeID: "2"}}); len(got) > 0 {
				t.Errorf("nodes without the node rule: got %v", got)
			}
			jobs, err := client.Jobs(context.Background(), backends.Selection{Prefixes: []string{"p-team1-web"}})
			if err != nil || len(jobs) != 2 || len(jobs[0].Allocations) != 2 {
				t.Fatalf("got %+v, %v", jobs, err)
			}
			if usage := client.Usage(context.Background(), jobs[0].Allocations); len(usage) != 2 {
				t.Errorf("got the usage of %d tasks, want 2", len(usage))
			}
			if _, err := client.Job(context.Background(), jobs[0]); err != nil {
				t.Error(err)
			}
			if _, err := client.Allocation(context.Background(), jobs[0].Allocations[0]); err != nil {
				t.Error(err)
			}
			client.Checks(context.Background(), jobs[0].Allocations)
		})
	}
}

func TestClient_TokenRotated(t *testing.T) {
	cluster := nomadtest.Simulated(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	client := open(t, Tier{URL: cluster.URL, TokenFile: file})
	if _, err := client.Jobs(context.Background(), backends.Selection{}); !errors.Is(err, backends.ErrForbidden) {
		t.Fatalf("got %v, want %v", err, backends.ErrForbidden)
	}
	write(nomadtest.Token + "\n")
	if _, err := client.Jobs(context.Background(), backends.Selection{}); err != nil {
		t.Errorf("after the token was rotated: %v", err)
	}
	os.Remove(file)
	if _, err := client.Jobs(context.Background(), backends.Selection{}); err == nil ||
		strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that does not name the file", err)
	}
}

func TestJobs_ErrorTexts(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + closed.Addr().String()
	closed.Close()
	_, err = open(t, Tier{URL: url}).Jobs(context.Background(), backends.Selection{})
	if !errors.Is(err, backends.ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") ||
		strings.Contains(err.Error(), "/v1/") {
		t.Errorf("got %v, want no response, connection refused and no URL", err)
	}

	c, client := newSimulated(t)
	for _, tc := range []struct {
		failure nomadsim.Failure
		want    string
	}{
		{
			nomadsim.Failure{Path: "/v1/jobs", Status: 500, Body: "No cluster leader\nat all"},
			"Nomad returned 500 No cluster leader",
		},
		{nomadsim.Failure{Path: "/v1/jobs", Status: 200, Body: "{"}, "cannot read"},
	} {
		c.Inject(tc.failure)
		_, err := client.Jobs(context.Background(), backends.Selection{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line with %q", err, tc.want)
		}
		c.ClearFailures()
	}
}

func TestRead_Retries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		failure  nomadsim.Failure
		ok       bool
		requests int
	}{
		{
			"no leader for a moment",
			nomadsim.Failure{Path: "/v1/jobs", Status: 500, Body: "No cluster leader", Times: 2},
			true, 3,
		},
		{"too many connections", nomadsim.Failure{Path: "/v1/jobs", Status: 429, Times: 1}, true, 2},
		{"cut connection", nomadsim.Failure{Path: "/v1/jobs", Cut: true, Times: 1}, true, 2},
		{"no leader for long", nomadsim.Failure{Path: "/v1/jobs", Status: 500, Body: "No cluster leader"}, false, 3},
		{"a rejection", nomadsim.Failure{Path: "/v1/jobs", Status: 403, Body: "Permission denied"}, false, 1},
		{"a wrong request", nomadsim.Failure{Path: "/v1/jobs", Status: 400, Body: "bad"}, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, client := newSimulated(t)
			c.Inject(tc.failure)
			_, err := client.Jobs(context.Background(), backends.Selection{})
			if (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
			if got := c.Traffic("/v1/jobs").Requests; got != tc.requests {
				t.Errorf("got %d requests, want %d", got, tc.requests)
			}
		})
	}
}

func TestReadPages(t *testing.T) {
	t.Parallel()
	c, client := newSimulated(t)
	c.AddJob(nomadsim.Job{ID: "big", Groups: []nomadsim.Group{{Name: "g", Count: 2*perPage + 1}}})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range jobs[0].Allocations {
		seen[a.ID] = true
	}
	if len(seen) != 2*perPage+1 || len(jobs[0].Allocations) != len(seen) {
		t.Errorf("got %d allocations, %d of them different, want %d", len(jobs[0].Allocations), len(seen), 2*perPage+1)
	}
	if first, last := jobs[0].Allocations[0].Name, jobs[0].Allocations[len(seen)-1].Name; first != "big.g[0]" ||
		last != "big.g[4000]" {
		t.Errorf("ordered from %s to %s", first, last)
	}
}

func TestJobs_FiltersOnServer(t *testing.T) {
	c, client := newSimulated(t)
	for _, id := range []string{"p-team1-web", "p-team1-api"} {
		c.AddJob(nomadsim.Job{ID: id})
	}
	cost := func() int64 {
		c.ResetTraffic()
		if _, err := client.Jobs(context.Background(), backends.Selection{Prefixes: []string{"p-team1-"}}); err != nil {
			t.Fatal(err)
		}
		return c.Traffic("").Bytes
	}
	before := cost()
	for i := range 300 {
		c.AddJob(nomadsim.Job{
			ID:     "p-team2-" + strings.Repeat("x", i%5) + string(rune('a'+i%26)),
			Groups: []nomadsim.Group{{Name: "g", Count: 5}},
		})
	}
	if after := cost(); before == 0 || after > before+before/10 {
		t.Errorf("%d bytes with hundreds of other jobs, %d without", after, before)
	}
}

func TestUsage_MaxConns(t *testing.T) {
	c, client := newSimulated(t)
	for i := range 20 {
		c.AddNode(nomadsim.Node{Name: "slow-" + string(rune('a'+i)), Slow: 30 * time.Millisecond})
	}
	c.AddJob(nomadsim.Job{ID: "big", Groups: []nomadsim.Group{{Name: "g", Count: 400}}})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(client.Usage(context.Background(), jobs[0].Allocations)); got != 400 {
		t.Errorf("got the usage of %d tasks, want 400", got)
	}
	if peak, refused := c.Connections(); peak > maxConns || refused > 0 {
		t.Errorf("%d connections at a time, %d refused, want at most %d", peak, refused, maxConns)
	}
}

func TestUsage_NodeHangs(t *testing.T) {
	t.Parallel()
	c, client := newSimulated(t)
	c.AddNode(nomadsim.Node{Name: "hung", Hangs: true})
	c.AddNode(nomadsim.Node{Name: "lost", Unreachable: true})
	var allocations []nomadsim.Allocation
	for i := range 300 {
		allocations = append(allocations, nomadsim.Allocation{Node: []string{"hung", "lost", "node-1"}[i%3]})
	}
	c.AddJob(nomadsim.Job{ID: "big", Groups: []nomadsim.Group{{Name: "g", Allocations: allocations}}})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var responses atomic.Int32
	queryStats := func(a backends.Allocation, q *api.QueryOptions) error {
		_, err := client.(*Client).reads.Allocations().Stats(&api.Allocation{ID: a.ID}, q)
		if err == nil && responses.Add(1) == 100 {
			cancel() // the hung node would not respond within the minute
		}
		return err
	}
	client.(*Client).queryNodes(ctx, jobs[0].Allocations, queryStats)
	if got := responses.Load(); got != 100 || ctx.Err() != context.Canceled {
		t.Errorf("got %d responses, %v, want the 100 of the responding node", got, ctx.Err())
	}
}

func TestUsage_OneAllocationFails(t *testing.T) {
	for _, failure := range []nomadsim.Failure{{Status: 500, Body: "boom"}, {Status: 404}, {Status: 429}} {
		c, client := newSimulated(t)
		c.AddJob(nomadsim.Job{ID: "big", Groups: []nomadsim.Group{{Name: "g", Count: 100}}})
		jobs, err := client.Jobs(context.Background(), backends.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		failure.Path, failure.Times = "/v1/client/allocation/{id}/stats", 1
		c.Inject(failure)
		if got := len(client.Usage(context.Background(), jobs[0].Allocations)); got < 99 {
			t.Errorf("status %d for one of 100: got the usage of %d tasks", failure.Status, got)
		}
	}
}

func TestJobs_InvalidResponse(t *testing.T) {
	c, client := newSimulated(t)
	for _, body := range []string{`[null,null]`, `[{"ID":1}]`, `"x"`, ``} {
		c.Inject(nomadsim.Failure{Path: "/v1/allocations", Status: 200, Body: body})
		if _, err := client.Jobs(context.Background(), backends.Selection{}); err == nil {
			t.Errorf("%q: got no error", body)
		}
		c.ClearFailures()
	}
	body := `[{"ID":"a","JobID":"j","TaskStates":{"web":null}}]`
	c.Inject(nomadsim.Failure{Path: "/v1/allocations", Status: 200, Body: body})
	if jobs, err := client.Jobs(context.Background(), backends.Selection{}); err != nil || len(jobs) != 1 {
		t.Errorf("a task without a state: got %+v, %v", jobs, err)
	}
}

func TestJobs_DeploymentOfPurgedJob(t *testing.T) {
	c, client := newSimulated(t)
	c.AddJob(nomadsim.Job{ID: "a", Deployment: nomadsim.Deployment{Status: "failed"}})
	c.Purge("default", "a")
	c.AddJob(nomadsim.Job{ID: "a", Type: "batch"})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil || len(jobs) != 1 || jobs[0].DeploymentStatus != "" {
		t.Errorf("got %+v, %v, want a job without a deployment", jobs, err)
	}
}

func TestOpen_MissingCertificate(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for name, settings := range map[string]tlsfiles.Files{
		"ca": {CA: missing}, "cert": {Cert: missing, Key: missing},
		"cert alone": {Cert: missing},
	} {
		if _, err := Open(Tier{Name: "a", URL: "https://127.0.0.1:1", TLS: settings}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
