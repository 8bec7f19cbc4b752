// Package nomadtest gives tests the same jobs on two kinds of cluster: a simulated one, always, and a real Nomad
// agent where there is a binary. What holds for one has to hold for the other.
package nomadtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/sim"
)

// Token is the management token of every cluster here.
const Token = "6f7c9f3e-3a5b-4a52-9d51-52c7e2ac9c21"

// maxConnections is how many a cluster allows from one address. Nomad's 100 would be too few: each test has a gateway of its
// own, a gateway uses most of the 100, and here all of them come from one address.
const maxConnections = 2000

// NoBinary says what is missing where there is no Binary.
const NoBinary = "no real Nomad: set NOMADCTLD_TEST_NOMAD to a nomad binary, or put one on PATH, to test against it too"

// Cluster is a cluster that holds the jobs of Scenario.
type Cluster struct {
	Kind string // sim or real
	URL  string
	Sim  *sim.Cluster // nil for a real one
}

// OlderThan reports whether a real cluster runs a Nomad before that version. A simulated one is never too old.
func (c Cluster) OlderThan(t testing.TB, major, minor int) bool {
	t.Helper()
	if c.Sim != nil {
		return false
	}
	client, err := api.NewClient(&api.Config{Address: c.URL, SecretID: Token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nodes, _, err := client.Nodes().List(nil)
	if err != nil || len(nodes) == 0 {
		t.Fatalf("nodes: got %d, %v, want one that tells its version", len(nodes), err)
	}
	return versionBefore(nodes[0].Version, major, minor)
}

// versionBefore reports whether a version such as 1.10.5 or 2.0.6-dev comes before major.minor.
func versionBefore(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a < major || a == major && b < minor
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
	return Cluster{Kind: "real", URL: realAgentURL(t, Binary())}
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
	c.LimitConnections(maxConnections)
	c.AddToken(Token, sim.Rights{Management: true})
	addScenario(c, time.Now())
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
	if err := os.WriteFile(file, []byte(limitedToken(t, c, capabilities...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// limitedToken makes such a token and returns its secret.
func limitedToken(t *testing.T, c Cluster, capabilities ...string) string {
	t.Helper()
	return limitedTokenIn(t, c, "*", capabilities...)
}

// limitedTokenIn makes a token with these capabilities in one namespace alone, or "*".
func limitedTokenIn(t *testing.T, c Cluster, namespace string, capabilities ...string) string {
	t.Helper()
	secret, err := c.NewToken(map[string][]string{namespace: capabilities}, false, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// NewToken makes a token with these capabilities in namespaces, "*" for those that are not named, that may also read nodes
// or not, and returns its secret, which differs from that of other tokens by what it is for. The policy of a real one is named for what it grants,
// because a policy is for ever what its last version says.
func (c Cluster) NewToken(rights map[string][]string, nodes bool, purpose string) (string, error) {
	name, rules := "limited", ""
	if nodes {
		name, rules = "limited-node", "node { policy = \"read\" }\n"
	}
	for _, namespace := range slices.Sorted(maps.Keys(rights)) {
		capabilities := rights[namespace]
		name += "-" + strings.Join(capabilities, "-")
		if namespace != "*" {
			name += "-in-" + namespace
		}
		rules += fmt.Sprintf("namespace %q { capabilities = [%s] }\n", namespace, `"`+strings.Join(capabilities, `","`)+`"`)
	}
	if c.Sim != nil {
		secret := name + " " + purpose
		c.Sim.AddToken(secret, sim.Rights{Namespaces: rights, NodeRead: nodes})
		return secret, nil
	}
	client, err := api.NewClient(&api.Config{Address: c.URL, SecretID: Token})
	if err != nil {
		return "", err
	}
	defer client.Close()
	if _, err := client.ACLPolicies().Upsert(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		return "", err
	}
	token, _, err := client.ACLTokens().Create(&api.ACLToken{Name: name, Type: "client", Policies: []string{name}}, nil)
	if err != nil {
		return "", err
	}
	return token.SecretID, nil
}
