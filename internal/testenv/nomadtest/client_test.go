package nomadtest

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// forEachCluster runs a test on every kind of cluster, with the real client.
func forEachCluster(t *testing.T, test func(t *testing.T, cluster Cluster, client *api.Client)) {
	for _, cluster := range Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: Token})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			test(t, cluster, client)
		})
	}
}

// allocationOf returns an allocation of a job in the scenario.
func allocationOf(t *testing.T, client *api.Client, job string) *api.Allocation {
	t.Helper()
	list, _, err := client.Jobs().Allocations(job, true, nil)
	if err != nil || len(list) == 0 {
		t.Fatalf("allocations of %s: got %d, %v, want one", job, len(list), err)
	}
	return &api.Allocation{ID: list[0].ID, NodeID: list[0].NodeID, Namespace: "default"}
}

func get(t *testing.T, cluster Cluster, token, path string) (int, string) {
	t.Helper()
	resp := ask(t, cluster, token, path)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func ask(t *testing.T, cluster Cluster, token, path string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", cluster.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Nomad-Token", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
