package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

func TestDeployConfig_HasEveryKey(t *testing.T) {
	t.Parallel()
	example := testenv.ReadFile(t, "nomadctld.toml")
	every := regexp.MustCompile(`(?m)^#([a-z0-9-]+ = )`).ReplaceAllString(example, "$1")
	// A test of package config checks that full.toml has every key of the schema.
	want, got := keysIn(t, testenv.ReadFile(t, "../testdata/config/full.toml")), keysIn(t, every)
	if !slices.Equal(got, want) {
		t.Errorf("got keys\n%q, want\n%q", got, want)
	}
	if len(keysIn(t, example)) == len(want) {
		t.Error("the example has no commented keys, so this test cannot fail")
	}
}

// keysIn returns the keys of a TOML file, without the names of instances, as in nomad.NAME.url.
func keysIn(t *testing.T, text string) []string {
	t.Helper()
	var tree map[string]any
	if err := toml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		table, ok := value.(map[string]any)
		if !ok || strings.HasSuffix(path, ".require") { // a list, or a table for some of the commands
			found[path] = true
			return
		}
		for name, value := range table {
			switch path {
			case "alias", "nomad", "prefix", "users", "auth.principals":
				name = "NAME"
			}
			walk(strings.TrimPrefix(path+"."+name, "."), value)
		}
	}
	walk("", tree)
	return slices.Sorted(maps.Keys(found))
}

func TestDeployConfig_Loads(t *testing.T) {
	t.Parallel()
	for name, uncomment := range map[string]string{"as shipped": "", "with every key": "$1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sshfiles.Dir(t.TempDir())
			key, err := dir.NewKey("hostkey")
			if err != nil {
				t.Fatal(err)
			}
			other, err := dir.NewKey("user_ca")
			if err != nil {
				t.Fatal(err)
			}
			third, err := dir.NewKey("third")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(dir.Path("keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string]string{
				"token-production": "x", "keys/ann": sshfiles.AuthorizedKeyLine(third) + "\n",
				"revoked.krl": ssh.FingerprintSHA256(other.PublicKey()) + "\n",
			} {
				if err := os.WriteFile(dir.Path(name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text := testenv.ReadFile(t, "nomadctld.toml")
			if uncomment != "" {
				text = regexp.MustCompile(`(?m)^#([a-z0-9-]+ = )`).ReplaceAllString(text, uncomment)
			}
			gatewaytest.WritePEM(t, dir, "nomad", "docker")
			text = strings.ReplaceAll(text, "keys/%u", "no-keys/%u") // the same file would add the same keys again
			for _, path := range []string{"/etc/nomadctld", "/var/log/nomadctld", "/var/lib/nomadctld"} {
				text = strings.ReplaceAll(text, path+"/", dir.Path("")+"/")
			}
			if err := os.WriteFile(dir.Path("nomad-binary"), []byte("#!/bin/sh\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			text = strings.ReplaceAll(text, "/usr/local/bin/nomad", dir.Path("nomad-binary"))
			text = strings.Replace(text, `key = "ssh-ed25519 AAAA..."`,
				fmt.Sprintf("key = %q", sshfiles.AuthorizedKeyLine(key)), 1)
			text = strings.Replace(text, "ssh-ed25519 AAAA...", sshfiles.AuthorizedKeyLine(other), 1)
			if err := os.WriteFile(dir.Path("nomadctld.toml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, diagnostics := config.Load(dir.Path("nomadctld.toml"), gateway.Commands())
			for _, d := range diagnostics {
				if uncomment != "" && strings.Contains(d.Message, "has no effect in this version") {
					continue
				}
				t.Error(d)
			}
			want := "1 tier (production), 1 user, 1 prefix group"
			if uncomment != "" {
				want += ", 1 CA"
			}
			if c != nil && c.Summary() != want {
				t.Errorf("got %s, want %s", c.Summary(), want)
			}
		})
	}
}
