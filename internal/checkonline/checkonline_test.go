package checkonline

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nomadctld/config"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/tlsfiles"
)

// fakeNomad serves the responses of a Nomad with ACLs by path. A path that is missing is refused.
type fakeNomad struct {
	token     string
	skew      time.Duration
	responses map[string]string
}

const nodeOne = `[{
	"ID": "1", "Name": "node-1", "Status": "ready", "Version": "2.0.5", "Drivers": {"docker": {"Detected": true}}
}]`

// newFakeNomad returns a Nomad whose token "secret" has these capabilities in all namespaces.
func newFakeNomad(capabilities ...string) *fakeNomad {
	return newFakeNomadWith(map[string][]string{"*": capabilities})
}

// newFakeNomadWith returns a Nomad whose token "secret" has these capabilities, by the namespace of the rule.
func newFakeNomadWith(rules map[string][]string) *fakeNomad {
	type rule struct {
		Name         string
		Capabilities []string
	}
	var list []rule
	for namespace, capabilities := range rules {
		list = append(list, rule{namespace, capabilities})
	}
	text, _ := json.Marshal(list)
	return &fakeNomad{token: "secret", responses: map[string]string{
		"/v1/status/leader":      `"127.0.0.1:4647"`,
		"/v1/acl/token/self":     `{"AccessorID": "1", "Type": "client"}`,
		"/v1/acl/policies":       `[{"Name": "gateway"}]`,
		"/v1/acl/policy/gateway": `{"RulesJSON": {"Namespaces": ` + string(text) + `}}`,
		"/v1/agent/self":         `{"member": {"Tags": {"build": "2.0.5"}}}`,
		"/v1/nodes":              nodeOne,
	}}
}

func (f *fakeNomad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(f.skew).UTC().Format(http.TimeFormat))
	token, text := r.Header.Get("X-Nomad-Token"), f.responses[r.URL.Path]
	switch {
	case token != "" && token != f.token:
		http.Error(w, "ACL token not found", http.StatusForbidden)
	case text == "":
		http.Error(w, "Permission denied", http.StatusForbidden)
	default:
		w.Write([]byte(text))
	}
}

// allCapabilities returns one capability for each need.
func allCapabilities() (all []string) {
	for _, need := range Needs {
		all = append(all, need.AnyOf[0])
	}
	return all
}

// newConfig returns a configuration with a tier and a Docker daemon for all nodes. An empty secret means no token.
func newConfig(t *testing.T, url, secret string) *config.Config {
	t.Helper()
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"ApiVersion": "1.41", "MinAPIVersion": "1.24"}`))
	}))
	t.Cleanup(daemon.Close)
	c := &config.Config{Tiers: []config.Tier{{Name: "prod", URL: url}}}
	c.Docker.Host, c.Docker.Exec = daemon.URL, config.ExecAuto
	if secret != "" {
		c.Tiers[0].TokenFile = writeFile(t, "token", secret)
	}
	return c
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, c *config.Config) []Fact {
	t.Helper()
	facts, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// expect checks that one of the facts has this check and state, and that its texts contain text.
func expect(t *testing.T, facts []Fact, check, state, text string) {
	t.Helper()
	if !slices.ContainsFunc(facts, func(f Fact) bool {
		return f.Check == check && f.State == state && strings.Contains(f.Detail+"; "+f.Hint, text)
	}) {
		t.Errorf("got\n%s\nwant %s %s %q", Table(facts, 0), check, state, text)
	}
}

func TestRun_AllWorks(t *testing.T) {
	server := httptest.NewServer(newFakeNomad(allCapabilities()...))
	defer server.Close()
	facts := run(t, newConfig(t, server.URL, "secret"))
	for check, text := range map[string]string{
		"reachable": "responds", "clock": "at most 5s", "token": "accepted; the gateway uses it in all namespaces",
		"commands": "permits all commands", "version": "Nomad 2.0.5", "docker": "node node-1: API 1.41",
	} {
		expect(t, facts, check, OK, text)
	}
	if Failed(facts) || len(facts) != 6 {
		t.Errorf("got\n%s\nwant 6 facts without an error", Table(facts, 0))
	}
}

func TestRun_Simulator(t *testing.T) {
	sim := nomadsim.New()
	defer sim.Close()
	sim.AddNode(jobspec.Node{ID: jobspec.UUID("node-1"), Name: "node-1"})
	url, err := sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	facts := run(t, newConfig(t, url, ""))
	expect(t, facts, "reachable", OK, "responds")
	expect(t, facts, "token", OK, "ACLs are off")
	sim.AddToken("secret", nomadsim.Rights{Management: true})
	facts = run(t, newConfig(t, url, "secret"))
	expect(t, facts, "token", Warning, "management token")
	expect(t, run(t, newConfig(t, url, "")), "token", Error, "this tier has no token")
	expect(t, run(t, newConfig(t, url, "other")), "token", Error, "does not accept the token")
}

func TestRun_Problems(t *testing.T) {
	without := func(capability string) []string {
		return slices.DeleteFunc(allCapabilities(), func(c string) bool { return c == capability })
	}
	for _, test := range []struct {
		name               string
		secret             string
		change             func(*fakeNomad)
		check, state, text string
	}{
		{"refused token", "other", nil, "token", Error, "does not accept the token: ACL token not found"},
		{"no token", "", nil, "token", Error, "ACLs are on, but this tier has no token"},
		{
			"no leader", "secret", func(f *fakeNomad) { f.responses["/v1/status/leader"] = `""` }, "reachable", Error,
			"no leader",
		},
		{
			"another server", "secret", func(f *fakeNomad) { f.responses["/v1/status/leader"] = "<html>" }, "reachable", Error,
			"not from Nomad",
		},
		{
			"old version", "secret",
			func(f *fakeNomad) { f.responses["/v1/agent/self"] = `{"member": {"Tags": {"build": "1.2.16"}}}` },
			"version", Error, "Nomad 1.2.16 is too old: listings need 1.3 or later; update Nomad",
		},
		{
			"version of a node", "secret", func(f *fakeNomad) { delete(f.responses, "/v1/agent/self") }, "version", OK,
			"Nomad 2.0.5",
		},
		{"clock ahead", "secret", func(f *fakeNomad) { f.skew = time.Hour }, "clock", Warning, "Nomad's clock is 1h0m"},
		{"clock behind", "secret", func(f *fakeNomad) { f.skew = -time.Hour }, "clock", Warning, "behind"},
		{
			"no revert-job", "secret", func(f *fakeNomad) { *f = *newFakeNomad(without("revert-job")...) }, "commands", Warning,
			`does not permit revert; add the capability "revert-job" (before Nomad 1.11.2: "submit-job") if users need it`,
		},
		{
			"no read-job", "secret", func(f *fakeNomad) { *f = *newFakeNomad(without("read-job")...) }, "commands", Error,
			`add the capability "read-job"`,
		},
		{
			"denied", "secret", func(f *fakeNomad) { *f = *newFakeNomad(append(allCapabilities(), "deny")...) }, "commands",
			Error, `: add the capability "list-jobs"`,
		},
		{
			"policies unreadable", "secret", func(f *fakeNomad) { delete(f.responses, "/v1/acl/policies") }, "token", Warning,
			"its policies cannot be read: Nomad returned 403 Permission denied",
		},
		{
			"nodes unreadable", "secret", func(f *fakeNomad) {
				delete(f.responses, "/v1/nodes")
				f.responses["/v1/allocations"] = `[{"NodeID": "2", "NodeName": "node-2"}, {"NodeID": "2", "NodeName": "node-2"}]`
			}, "docker", OK, "node node-2: API 1.41",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			nomad := newFakeNomad(allCapabilities()...)
			if test.change != nil {
				test.change(nomad)
			}
			server := httptest.NewServer(nomad)
			defer server.Close()
			facts := run(t, newConfig(t, server.URL, test.secret))
			expect(t, facts, test.check, test.state, test.text)
			if Failed(facts) != (test.state == Error) {
				t.Errorf("got\n%s\nwant failed: %t", Table(facts, 0), test.state == Error)
			}
		})
	}
}

// TestRun_OptionalCapabilities checks that the capabilities that the default policy lacks are not recommended.
func TestRun_OptionalCapabilities(t *testing.T) {
	var usual []string
	for _, need := range Needs {
		if need.Advice == "" {
			usual = append(usual, need.Capability())
		}
	}
	server := httptest.NewServer(newFakeNomad(usual...))
	defer server.Close()
	facts := run(t, newConfig(t, server.URL, "secret"))
	expect(t, facts, "commands", OK, "permits all other commands")
	expect(t, facts, "commands", OK, `raw_exec tasks; most gateways should not have the capability "alloc-node-exec"`)
	expect(t, facts, "commands", OK, "does not permit stop --purge; ")
	expect(t, facts, "commands", OK, "does not permit start, restart --full and ops --restore; ")
	for _, f := range facts {
		if f.State != OK {
			t.Errorf("got %v, want no warning", f)
		}
	}
}

func TestRun_Namespaces(t *testing.T) {
	all := allCapabilities()
	read := []string{"list-jobs", "read-job", "read-logs"}
	group := func(prefix string, namespaces ...string) config.Group {
		return config.Group{Prefixes: []string{prefix}, Namespaces: namespaces}
	}
	for name, test := range map[string]struct {
		rules  map[string][]string
		groups []config.Group
		token  string            // the end of the fact about the token
		want   map[string]string // states of some facts, by their start
	}{
		"all": {
			map[string][]string{"*": all},
			[]config.Group{group("p-"), group("p-", "team1")},
			"in all namespaces",
			map[string]string{"permits all commands": OK},
		},
		"one": {
			map[string][]string{"team1": all},
			[]config.Group{group("p-")},
			"in namespace team1",
			map[string]string{"permits all commands": OK},
		},
		"less in one": {
			map[string][]string{"*": all, "team1": read},
			[]config.Group{group("p-")},
			"in namespace team1 and in all others",
			map[string]string{"does not permit revert in namespace team1": Warning},
		},
		"more in one": {
			map[string][]string{"*": read, "team1": all},
			[]config.Group{group("p-")},
			"in namespace team1 and in all others",
			map[string]string{"does not permit revert in all other namespaces": Warning},
		},
		"unused": {
			map[string][]string{"*": all, "team1": read},
			[]config.Group{group("p-", "default")},
			"in namespace default",
			map[string]string{"permits all commands": OK},
		},
		"group of another tier": {
			map[string][]string{"*": all, "team1": read},
			[]config.Group{group("p-a-", "default"), group("q-", "team1")},
			"in namespace default",
			map[string]string{"permits all commands": OK},
		},
		"pattern": {
			map[string][]string{"team-*": all, "team-a*": read},
			[]config.Group{group("", "team-a1", "team-b1")},
			"in namespaces team-a1, team-b1",
			map[string]string{"does not permit revert in namespace team-a1": Warning},
		},
		"denied": {
			map[string][]string{"*": all, "secret": {"deny"}},
			[]config.Group{group("p-")},
			"in all namespaces",
			map[string]string{"permits all commands": OK},
		},
		"denied, and in a group": {
			map[string][]string{"*": all, "secret": {"deny"}},
			[]config.Group{group("p-", "default", "secret")},
			"in namespaces default, secret",
			map[string]string{"does not permit lists of jobs in namespace secret": Error},
		},
		"no rule": {
			map[string][]string{"team1": all},
			[]config.Group{group("p-", "team2", "team3")},
			"in namespaces team2, team3",
			map[string]string{"does not permit lists of jobs": Error},
		},
		"no rules": {
			nil, []config.Group{group("p-")}, "in all namespaces", map[string]string{"does not permit revert": Warning},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(newFakeNomadWith(test.rules))
			defer server.Close()
			c := newConfig(t, server.URL, "secret")
			c.Tiers[0].Prefixes, c.Groups = []string{"p-"}, map[string]config.Group{}
			for i, g := range test.groups {
				c.Groups[strconv.Itoa(i)] = g
			}
			facts := run(t, c)
			states := map[string]string{}
			for _, f := range facts {
				states[f.Detail] = f.State
			}
			if states["accepted; the gateway uses it "+test.token] != OK {
				t.Errorf("got\n%s\nwant a token that is used %s", Table(facts, 0), test.token)
			}
			for detail, state := range test.want {
				if states[detail] != state {
					t.Errorf("got\n%s\nwant %s %q", Table(facts, 0), state, detail)
				}
			}
			if ok := states["permits all commands"] == OK; ok != (test.want["permits all commands"] == OK) {
				t.Errorf("got\n%s\nwant %v", Table(facts, 0), test.want)
			}
		})
	}
}

func TestRun_TierDown(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	facts := run(t, newConfig(t, server.URL, "secret"))
	expect(t, facts, "reachable", Error, "connection refused; check that Nomad is running")
}

func TestRun_DockerUnreachable(t *testing.T) {
	server := httptest.NewServer(newFakeNomad(allCapabilities()...))
	defer server.Close()
	c := newConfig(t, server.URL, "secret")
	c.Docker.Host = "unix:///nosuch.sock"
	expect(t, run(t, c), "docker", Error, "node node-1")
	c.Docker.Exec = execNomad
	expect(t, run(t, c), "docker", OK, "not used")
}

// TestRun_DockerTimeUsedUp checks that a daemon that was not contacted is not reported as down.
func TestRun_DockerTimeUsedUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := check{tier: config.Tier{Name: "prod"}}
	expect(t, []Fact{c.daemon(ctx, node{Name: "node-1"})}, "docker", Warning, "node node-1: not checked within 10s")
}

// TestRun_ServerCertificate uses the certificate of httptest, and reads it as of other times.
func TestRun_ServerCertificate(t *testing.T) {
	server := httptest.NewTLSServer(newFakeNomad(allCapabilities()...))
	defer server.Close()
	ca := writeFile(t, "ca.pem",
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	c := newConfig(t, server.URL, "secret")
	c.Tiers[0].TLS = tlsfiles.Files{CA: ca}
	expect(t, run(t, c), "tls", OK, "Nomad's certificate is valid until 2084-01-29")
	end := server.Certificate().NotAfter
	expect(t, certificateFile("prod", "it", ca, end.Add(-72*time.Hour)), "tls", Warning,
		"it expires in 3 days, on 2084-01-29")
	expect(t, certificateFile("prod", "it", ca, end.Add(-30*24*time.Hour)), "tls", OK, "valid until")
	expect(t, certificateFile("prod", "it", ca, end), "tls", Error, "it expired on 2084-01-29; renew it")
	expect(t, certificateFile("prod", "it", writeFile(t, "x.pem", "x"), end), "tls", Error, "no PEM certificate")
}

// TestRun_CertificateRefused checks that the hint names the settings of TLS.
func TestRun_CertificateRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(newFakeNomad(allCapabilities()...))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	const hint = "check ca, cert and servername in [nomad.prod.tls]"
	c := newConfig(t, server.URL, "secret")
	expect(t, run(t, c), "reachable", Error, "certificate signed by unknown authority; "+hint)
	c.Tiers[0].TLS.CA = writeFile(t, "ca.pem",
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	expect(t, run(t, c), "reachable", Error, "tls: certificate required; "+hint)
}

func TestRun_ServerCertificateExpired(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(newFakeNomad(allCapabilities()...))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	defer server.Close()
	c := newConfig(t, server.URL, "secret")
	c.Tiers[0].TLS = tlsfiles.Files{
		CA: writeFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
	}
	facts := run(t, c)
	expect(t, facts, "tls", Error, "Nomad's certificate expired on 2020-02-03; renew it")
	expect(t, facts, "reachable", Error, "renew Nomad's certificate")
}

func TestTable_EscapesUntrustedText(t *testing.T) {
	nomad := newFakeNomad(allCapabilities()...)
	nomad.responses["/v1/agent/self"] = `{"member": {"Tags": {"build": "2.0\u001b[31m"}}}`
	server := httptest.NewServer(nomad)
	defer server.Close()
	facts := run(t, newConfig(t, server.URL, "secret"))
	if table := Table(facts, 0); strings.Contains(table, "\x1b") || !strings.Contains(table, `2.0\x1b[31m`) {
		t.Errorf("got %q, want the version escaped", table)
	}
}
