package nomad

import (
	"testing"

	"nomadctld/backends/backendtest"
	"nomadctld/internal/nomadtest"
)

func TestOperationsConformance(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			backendtest.Operations(t, backendtest.Ground{
				Operator: open(t, Tier{URL: cluster.URL, TokenFile: nomadtest.TokenFile(t)}),
				Limited: func(t *testing.T, capabilities ...string) backendtest.Operator {
					return open(t, Tier{URL: cluster.URL, TokenFile: cluster.Token(t, capabilities...)})
				},
				Scalable:      func(t *testing.T, id, mode string) { cluster.Register(t, nomadtest.Scalable(id, mode)) },
				Canary:        func(t *testing.T, id, mode string) { cluster.Register(t, nomadtest.Canary(id, mode)) },
				Ended:         func(t *testing.T, id string) { cluster.Register(t, nomadtest.Ended(id)) },
				Periodic:      func(t *testing.T, id string) { cluster.Register(t, nomadtest.Periodic(id)) },
				Parameterized: func(t *testing.T, id string) { cluster.Register(t, nomadtest.Parameterized(id)) },
			})
		})
	}
}
