package nomad

import (
	"errors"
	"slices"
	"testing"

	"nomadctld/backends"
	"nomadctld/backends/backendtest"
	"nomadctld/internal/testenv/nomadtest"
)

func TestClusterWriterConformance(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			backendtest.ClusterWriter(t, backendtest.WriteFixture{
				WritableCluster: open(t, Tier{URL: cluster.URL, TokenFile: nomadtest.TokenFile(t)}),
				Limited: func(t *testing.T, capabilities ...string) backendtest.WritableCluster {
					return open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, capabilities...)})
				},
				Scalable:            func(t *testing.T, id, mode string) { cluster.Register(t, nomadtest.Scalable(id, mode)) },
				Canary:              func(t *testing.T, id, mode string) { cluster.Register(t, nomadtest.Canary(id, mode)) },
				Completed:           func(t *testing.T, id string) { cluster.Register(t, nomadtest.FinishedBatch(id)) },
				Periodic:            func(t *testing.T, id string) { cluster.Register(t, nomadtest.Periodic(id)) },
				Parameterized:       func(t *testing.T, id string) { cluster.Register(t, nomadtest.Parameterized(id)) },
				ScalingSurvivesStop: cluster.OlderThan(t, 1, 10),
				SubmitJobUndivided:  cluster.OlderThan(t, 1, 12),
			})
		})
	}
}

// TestNodeAddress_MissingPolicy reads a node with a token without the rule for nodes.
func TestNodeAddress_MissingPolicy(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			limited := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "list-jobs", "read-job")})
			jobs, err := limited.Jobs(t.Context(), backends.Selection{})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(jobs, func(j backends.Job) bool { return len(j.Allocations) > 0 })
			if i < 0 {
				t.Fatal("no job has an allocation")
			}
			_, err = limited.NodeAddress(t.Context(), jobs[i].Allocations[0])
			const want = `the gateway's token lacks the rule node { policy = "read" }; tell the gateway's operator`
			if err == nil || err.Error() != want || !errors.Is(err, backends.ErrForbidden) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
