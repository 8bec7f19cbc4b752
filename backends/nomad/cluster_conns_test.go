package nomad

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/internal/tlsfiles"
)

// writeCA writes a CA certificate to a file and returns its path.
func writeCA(t *testing.T, name string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReopen(t *testing.T) {
	t.Chdir(t.TempDir())
	ca, otherCA := writeCA(t, "ca.pem"), writeCA(t, "other.pem")
	base := Tier{Name: "production", URL: "https://127.0.0.1:1", TLS: tlsfiles.Files{CA: ca}}
	for _, tc := range []struct {
		name              string
		change            func(*Tier)
		same, conns, slot bool // the client, its connections and its limits are those of the earlier client
	}{
		{"nothing", func(*Tier) {}, true, true, true},
		{"token file", func(tier *Tier) { tier.TokenFile = "token" }, false, true, true},
		{"CA file", func(tier *Tier) { tier.TLS.CA = otherCA }, false, false, true},
		{"URL", func(tier *Tier) { tier.URL = "https://127.0.0.1:2" }, false, false, false},
		{"content of the CA file", func(*Tier) { writeCA(t, ca) }, false, false, true},
	} {
		earlier, err := Open(base)
		if err != nil {
			t.Fatal(err)
		}
		changed := base
		tc.change(&changed)
		now, err := Reopen(earlier, changed)
		if err != nil {
			t.Fatal(err)
		}
		a, b := earlier["production"], now["production"]
		if (a == b) != tc.same || (a.cluster == b.cluster) != tc.conns ||
			(a.conns.programSlots == b.conns.programSlots) != tc.slot {
			t.Errorf("%s: same client: %v, same connections: %v, same slots: %v", tc.name, a == b,
				a.cluster == b.cluster, a.conns.programSlots == b.conns.programSlots)
		}
	}
}

func TestReopen_Invalid(t *testing.T) {
	earlier, err := Open(Tier{Name: "production", URL: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	missing := tlsfiles.Files{CA: filepath.Join(t.TempDir(), "missing")}
	if _, err := Reopen(earlier, Tier{Name: "production", URL: "https://127.0.0.1:1", TLS: missing}); err == nil {
		t.Error("opened with a missing CA file")
	}
}

// TestCloseIdle closes the connections of a removed tier, but not those that another tier uses.
func TestCloseIdle(t *testing.T) {
	cluster := nomadtest.Simulated(t)
	a := Tier{Name: "a", URL: cluster.URL, TokenFile: nomadtest.TokenFile(t)}
	b := a
	b.Name = "b"
	clients, err := Open(a, b)
	if err != nil {
		t.Fatal(err)
	}
	list := func() (reused bool) { // whether the first request uses an idle connection
		t.Helper()
		var first sync.Once
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { first.Do(func() { reused = info.Reused }) },
		})
		if _, err := clients["a"].Jobs(ctx, backends.Selection{}); err != nil {
			t.Fatal(err)
		}
		return reused
	}
	list()
	CloseIdle(map[string]*Client{"b": clients["b"]}, map[string]*Client{"a": clients["a"]})
	if !list() {
		t.Error("closed a connection that another tier uses")
	}
	CloseIdle(clients, nil)
	if list() {
		t.Error("an idle connection stays open")
	}
}
