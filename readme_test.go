package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sshfiles"
)

// TestTheReadmesConfigurationLoads loads it with real keys and files in the place of its examples.
func TestTheReadmesConfigurationLoads(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no configuration")
	}
	dir := sshfiles.Dir(t.TempDir())
	key, err := dir.NewKey("hostkey")
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"token-p", "token-q"} {
		if err := os.WriteFile(dir.Path(token), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(string(block[1]), "/etc/nomadctld/", dir.Path("")+"/")
	text = strings.ReplaceAll(text, "ssh-ed25519 AAAA...", sshfiles.PublicLine(key))
	text = regexp.MustCompile(`(?m)^ca = .*$`).ReplaceAllString(text, "")
	if err := os.WriteFile(dir.Path("nomadctld.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(dir.Path("nomadctld.toml"), gateway.Commands())
	for _, fault := range faults {
		t.Error(fault)
	}
	if c != nil && c.Summary() != "2 tiers (production, quality), 2 users, 2 prefix groups" {
		t.Errorf("got %s", c.Summary())
	}
}
