// Package nomadtest gives tests the same jobs on two kinds of cluster: a simulated one, always, and a real Nomad
// agent where there is a binary. What holds for one has to hold for the other.
package nomadtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/sim"
)

// Token is the management token of every cluster here.
const Token = "6f7c9f3e-3a5b-4a52-9d51-52c7e2ac9c21"

// connections is how many a cluster allows from one address. Nomad's 100 would be too few: each test has a gateway of its
// own, a gateway uses most of the 100, and here all of them come from one address.
const connections = 2000

// NoBinary says what is missing where there is no Binary.
const NoBinary = "no real Nomad: set NOMADCTLD_TEST_NOMAD to a nomad binary, or put one on PATH, to test against it too"

// Cluster is a cluster that holds the jobs of Scenario.
type Cluster struct {
	Kind string // sim or real
	URL  string
	Sim  *sim.Cluster // nil for a real one
}

// Clusters returns a simulated cluster and, where NOMADCTLD_TEST_NOMAD or PATH leads to a nomad binary, a real one.
// The real one is started once for all tests of a process and ended by StopAgent.
func Clusters(t *testing.T) []Cluster {
	t.Helper()
	clusters := []Cluster{Simulated(t)}
	if Binary() != "" {
		clusters = append(clusters, Real(t))
	} else {
		t.Log(NoBinary)
	}
	return clusters
}

// Real returns the real cluster; there has to be a Binary.
func Real(t testing.TB) Cluster {
	t.Helper()
	return Cluster{Kind: "real", URL: realAgent(t, Binary())}
}

// Simulated returns a simulated cluster of its own for each call.
func Simulated(t *testing.T) Cluster {
	t.Helper()
	cluster, err := Simulate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Sim.Close)
	return cluster
}

// Simulate is Simulated for whoever closes Sim.
func Simulate() (Cluster, error) {
	c := sim.New()
	c.LimitConnections(connections)
	c.AddToken(Token, sim.Rights{Management: true})
	simScenario(c, time.Now())
	url, err := c.Start()
	return Cluster{Kind: "sim", URL: url, Sim: c}, err
}

// TokenFile writes Token to a file and returns its path.
func TokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Token makes a token with these capabilities in every namespace, and returns a file that holds it.
func (c Cluster) Token(t *testing.T, capabilities ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(tokenOf(t, c, capabilities...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tokenOf makes such a token and returns its secret. The policy of a real one is named for its capabilities, because a
// policy is for ever what its last version says.
func tokenOf(t *testing.T, c Cluster, capabilities ...string) string {
	t.Helper()
	name := "limited-" + strings.Join(capabilities, "-")
	if c.Sim != nil {
		secret := name + " " + t.Name()
		c.Sim.AddToken(secret, sim.Rights{Namespaces: map[string][]string{"*": capabilities}})
		return secret
	}
	client, err := api.NewClient(&api.Config{Address: c.URL, SecretID: Token})
	if err != nil {
		t.Fatal(err)
	}
	rules := fmt.Sprintf(`namespace "*" { capabilities = [%s] }`, `"`+strings.Join(capabilities, `","`)+`"`)
	if _, err := client.ACLPolicies().Upsert(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		t.Fatal(err)
	}
	token, _, err := client.ACLTokens().Create(&api.ACLToken{Name: name, Type: "client", Policies: []string{name}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}
