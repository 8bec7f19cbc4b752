// Package nomadtest runs tests on two kinds of cluster with the same jobs: always a simulated cluster, and also a
// real Nomad agent if there is a nomad binary. It owns the jobs and the agent. A test must pass on both kinds.
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

	"nomadctld/internal/nomadsim"
)

// Token is the management token of all clusters of this package.
const Token = "6f7c9f3e-3a5b-4a52-9d51-52c7e2ac9c21"

// maxConnections is the connection limit for each client address. Nomad's default of 100 is too low: each test has
// its own gateway, a gateway uses most of the 100, and all gateways share one address.
const maxConnections = 2000

// NoBinary is the message for skipped tests without a Binary.
const NoBinary = "no real Nomad: set NOMADCTLD_TEST_NOMAD to a nomad binary, or put one on PATH, to test against it too"

// Cluster is a cluster with the jobs of the scenario.
type Cluster struct {
	Kind string // "sim" or "real"
	URL  string
	Sim  *nomadsim.Cluster // nil for a real cluster
}

// OlderThan reports whether a real cluster runs an older Nomad version. It is false for simulated clusters.
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
		t.Fatalf("nodes: got %d, %v, want a node with its version", len(nodes), err)
	}
	return versionBefore(nodes[0].Version, major, minor)
}

// versionBefore reports whether a version such as 1.10.5 or 2.0.6-dev is older than major.minor.
func versionBefore(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a < major || a == major && b < minor
}

// Clusters returns a simulated cluster and, if NOMADCTLD_TEST_NOMAD or PATH provides a nomad binary, a real one. The
// real cluster is started once for all tests of a process. StopAgent stops it.
func Clusters(t *testing.T) []Cluster {
	t.Helper()
	clusters := []Cluster{Simulated(t)}
	if Binary() != "" {
		clusters = append(clusters, Real(t))
	} else if !testing.Short() {
		t.Log(NoBinary)
	}
	return clusters
}

// Real returns the real cluster. There must be a Binary.
func Real(t testing.TB) Cluster {
	t.Helper()
	return Cluster{Kind: "real", URL: realAgentURL(t, Binary())}
}

// Simulated returns a new simulated cluster.
func Simulated(t *testing.T) Cluster {
	t.Helper()
	cluster, err := StartSimulated()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Sim.Close)
	return cluster
}

// StartSimulated is Simulated without a test. The caller must close Sim.
func StartSimulated() (Cluster, error) {
	c := nomadsim.New()
	c.LimitConnections(maxConnections)
	c.AddToken(Token, nomadsim.Rights{Management: true})
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

// LimitedTokenFile creates a token with these capabilities in every namespace, and returns a file that contains it.
func (c Cluster) LimitedTokenFile(t *testing.T, capabilities ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(limitedToken(t, c, capabilities...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// limitedToken creates a token with these capabilities in every namespace and returns its secret.
func limitedToken(t *testing.T, c Cluster, capabilities ...string) string {
	t.Helper()
	return limitedTokenIn(t, c, "*", capabilities...)
}

// limitedTokenIn creates a token with these capabilities in one namespace, or in all for "*".
func limitedTokenIn(t *testing.T, c Cluster, namespace string, capabilities ...string) string {
	t.Helper()
	secret, err := c.NewToken(map[string][]string{namespace: capabilities}, false, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// NewToken creates a token with these capabilities by namespace, where "*" is any other namespace. If nodes is set,
// the token may also read nodes. It returns the secret, which is unique for the purpose. In a real cluster, the name
// of the policy contains all its rights, because a policy with an existing name would be replaced.
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
		c.Sim.AddToken(secret, nomadsim.Rights{Namespaces: rights, NodeRead: nodes})
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
