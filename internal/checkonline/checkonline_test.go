package checkonline

import (
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

// newFakeNomad returns a Nomad whose token "secret" has these capabilities.
func newFakeNomad(capabilities ...string) *fakeNomad {
	list, _ := json.Marshal(capabilities)
	return &fakeNomad{token: "secret", responses: map[string]string{
		"/v1/status/leader":      `"127.0.0.1:4647"`,
		"/v1/acl/token/self":     `{"AccessorID": "1", "Type": "client"}`,
		"/v1/acl/policies":       `[{"Name": "gateway"}]`,
		"/v1/acl/policy/gateway": `{"RulesJSON": {"Namespaces": [{"Name": "*", "Capabilities": ` + string(list) + `}]}}`,
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
		"reachable": "responds", "clock": "at most 5s", "token": "accepted; namespaces of its rules: *",
		"commands": "all commands", "version": "Nomad 2.0.5", "docker": "node node-1: API 1.41",
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
			"no register-job", "secret", func(f *fakeNomad) { *f = *newFakeNomad(without("register-job")...) }, "commands",
			Warning, `cannot start, restart --full and ops --restore; add the capability "register-job" if users need it`,
		},
		{
			"no read-job", "secret", func(f *fakeNomad) { *f = *newFakeNomad(without("read-job")...) }, "commands", Error,
			`add the capability "read-job"`,
		},
		{
			"denied", "secret", func(f *fakeNomad) { *f = *newFakeNomad(append(allCapabilities(), "deny")...) }, "commands",
			Error, `add the capability "list-jobs"`,
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
	expect(t, facts, "reachable", Error, "certificate has expired")
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
