package nomadsim

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// dial starts the cluster and returns a real client for it.
func dial(t *testing.T, c *Cluster, secret string) *api.Client {
	t.Helper()
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return client(t, url, secret)
}

func client(t *testing.T, url, secret string) *api.Client {
	t.Helper()
	n, err := api.NewClient(&api.Config{Address: url, SecretID: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// get sends a query to the handler without a connection.
func get(c *Cluster, path string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	return w
}

func wantStatus(t *testing.T, err error, status int, text string) {
	t.Helper()
	var refused api.UnexpectedResponseError
	if !errors.As(err, &refused) || refused.StatusCode() != status || !strings.Contains(refused.Body(), text) {
		t.Errorf("error: got %v, want status %d with %q", err, status, text)
	}
}

func wantList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func jobIDs(jobs []*api.JobListStub) (ids []string) {
	for _, j := range jobs {
		ids = append(ids, j.Namespace+"/"+j.ID)
	}
	return ids
}

func allocJobs(allocs []*api.AllocationListStub) (ids []string) {
	for _, a := range allocs {
		ids = append(ids, a.Namespace+"/"+a.JobID)
	}
	return ids
}

// mixedCluster has jobs with various names and states, for tests of filters.
func mixedCluster() *Cluster {
	c := New()
	c.AddNode(Node{Name: "node-1"})
	c.AddJob(Job{ID: "p-team1-web", Deployment: successful})
	c.AddJob(Job{ID: "p-team10-web", Type: "system"})
	c.AddJob(Job{
		ID: "q-team1-import", Type: "batch", Groups: []Group{{Allocations: []Allocation{{ClientStatus: "complete"}}}},
	})
	c.AddJob(Job{ID: "q-fail", Groups: []Group{{Allocations: []Allocation{{ClientStatus: "failed"}}}}})
	c.AddJob(Job{Namespace: "other", ID: "p-team1-web"})
	return c
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("got %d %.200s, want JSON: %v", w.Code, w.Body, err)
	}
	return v
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	mib  = 1 << 20
)

var successful = Deployment{Status: "successful"}
