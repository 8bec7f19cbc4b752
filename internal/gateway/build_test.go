package gateway

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/config"
)

// TestBuild_SharesUnchanged expects that the parts of the next configuration share what has the same settings.
func TestBuild_SharesUnchanged(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hostkey")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	newConfig := func() *config.Config {
		return &config.Config{
			General: config.General{HostKeys: []string{file}},
			Docker:  config.Docker{Exec: config.ExecAuto, Host: "tcp://{node}"},
			Tiers: []config.Tier{
				{Name: "production", URL: "http://127.0.0.1:1", Prefixes: []string{"p-"}},
				{Name: "quality", URL: "http://127.0.0.1:2", Prefixes: []string{"q-"}},
			},
		}
	}
	first, err := build(newConfig(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name                        string
		change                      func(*config.Config)
		production, quality, docker bool // shared
	}{
		{"nothing", func(*config.Config) {}, true, true, true},
		{"prefixes", func(c *config.Config) { c.Tiers[0].Prefixes = []string{"x-"} }, true, true, true},
		{"token of a tier", func(c *config.Config) { c.Tiers[0].TokenFile = "token" }, false, true, true},
		{"URL of a tier", func(c *config.Config) { c.Tiers[1].URL = "http://127.0.0.1:3" }, true, false, true},
		{"address of Docker", func(c *config.Config) { c.Docker.Host = "tcp://{address}" }, true, true, false},
	} {
		c := newConfig()
		tc.change(c)
		next, err := build(c, nil, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		for tier, shared := range map[string]bool{"production": tc.production, "quality": tc.quality} {
			if got := next.clusters[tier] == first.clusters[tier]; got != shared {
				t.Errorf("%s: the responses of %s are shared: %v, want %v", tc.name, tier, got, shared)
			}
			if got := next.clients[tier] == first.clients[tier]; got != shared {
				t.Errorf("%s: the client of %s is shared: %v, want %v", tc.name, tier, got, shared)
			}
		}
		if got := next.docker == first.docker; got != tc.docker {
			t.Errorf("%s: Docker is shared: %v, want %v", tc.name, got, tc.docker)
		}
		first.closeUnused(next)
	}
}
