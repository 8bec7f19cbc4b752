package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nomadctld/config"
	"nomadctld/internal/testenv/keygentest"
)

// authConfig loads validConfig with additional lines, in a directory with the files of keys.
func authConfig(t *testing.T, keys keygentest.Dir, lines string) (*config.Config, string) {
	t.Helper()
	inFixture(t)
	names, err := os.ReadDir(keys.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range names {
		write(t, file.Name(), []byte(keys.Read(file.Name())))
	}
	write(t, "nomadctld.toml", []byte(validConfig+lines))
	cfg, diagnostics := load("nomadctld.toml")
	return cfg, formatDiagnostics(diagnostics)
}

func TestLoad_Revoked(t *testing.T) {
	keys := keygentest.New(t)
	keys.NewKeys("ca", "ann")
	keys.Sign("ca", "ann", "cert", "-z", "5")
	list := keys.Revoke("ca", "serial: 5")
	keys.Write("cut", string(list[:len(list)-3]))
	keys.Write("empty.krl", "")
	keys.Write("unknown.krl", string(list)+"\x4d\x00\x00\x00\x00")
	keys.Write("garbage", "\x7fELF\x01\x02")
	for name, want := range map[string]string{
		"krl":         "",
		"ann.pub":     "",
		"cut":         `auth.revoked: file "cut" is not valid: the KRL is damaged or incomplete`,
		"empty.krl":   `auth.revoked: file "empty.krl" is empty; replace it with the complete list; to create an empty`,
		"unknown.krl": "has a section of the unknown type 77",
		"garbage":     "line 1 is not a public key",
		"cert.pub":    "line 1 is a certificate",
		"missing.krl": "does not exist",
	} {
		cfg, got := authConfig(t, keys, "[auth]\nrevoked = \""+name+"\"\n")
		if (cfg != nil) != (want == "") || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %v and:\n%s\nwant %q", name, cfg, got, want)
		}
	}
}

// TestLoad_KeysFilePerUser checks the keys files that a pattern names: those that exist are read, for their user only.
func TestLoad_KeysFilePerUser(t *testing.T) {
	keys := keygentest.New(t)
	keys.NewKeys("bob", "shared")
	keys.Write("bob.keys", "no-pty "+keys.Line("bob")+"\n")
	keys.Write("ann.keys", keys.Line("shared")+"\nfrom=\"10.0.0.0/8\" "+keys.Line("shared")+"\n")
	cfg, got := authConfig(t, keys, `[users.bob]
prefix = ["lnx"]
[users.ann]
prefix = ["lnx"]
[auth]
keysfile = "%u.keys"
`)
	if cfg == nil || got != "" {
		t.Fatalf("got:\n%s", got)
	}
	var counts []int
	for _, u := range cfg.Users {
		counts = append(counts, len(u.Keys))
	}
	want := []int{2, 1, 2} // wim.keys is in the fixture
	if cfg.Users[2].Keys[0].Line != 0 || !slices.Equal(counts, want) {
		t.Errorf("got %v keys of ann, bob and wim, want %v", counts, want)
	}
	if !cfg.Users[1].Keys[0].NoTerminal {
		t.Error("the option no-pty of bob's key is missing")
	}
}

func TestLoad_KeysFileWarnings(t *testing.T) {
	keys := keygentest.New(t)
	keys.NewKeys("bob")
	keys.Write("a.keys", "from=\"10.0.0.0/8\" "+wim+"\n")
	keys.Write("b.keys", "no-pty "+keys.Line("bob")+"\n")
	for lines, want := range map[string]string{
		"keysfile = 'a.keys'": `users.wim.keysfile: file "a.keys": line 1 repeats a key that the configuration has ` +
			"for this user, so its options have no effect; remove one of them",
		"keysfile = 'b.keys'\n[users.bob]\nkeysfile = 'b.keys'\nprefix = ['lnx']": "line 1 is also a key of users.wim",
		"[auth.principals]\noncall = ['lnx']":                                     "auth.principals has no effect",
		"[auth]\nmaxvalidity = '24h'":                                             "auth.maxvalidity has no effect",
		"[prefix.x]\nprefix = ['p-']\nrequire = ['cert']":                         "but no CA is trusted",
	} {
		cfg, got := authConfig(t, keys, lines)
		if cfg == nil || !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: got:\n%s\nwant one warning with %q", lines, got, want)
		}
	}
}

// TestLoad_WritableAuthFile checks that a file which decides who may log in is refused if every user can write it.
func TestLoad_WritableAuthFile(t *testing.T) {
	keys := keygentest.New(t)
	keys.NewKeys("ca")
	keys.Write("list", keys.Line("ca"))
	for _, line := range []string{
		"[auth]\nuserca = \"list\"\n", "[auth]\nrevoked = \"list\"\n", "keysfile = \"list\"\n",
	} {
		inFixture(t)
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, filepath.Dir(dir)} { // Go creates them with 0700
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, "list", []byte(keys.Line("ca")))
		if err := os.Chmod("list", 0o606); err != nil {
			t.Fatal(err)
		}
		write(t, "nomadctld.toml", []byte(validConfig+line))
		cfg, diagnostics := load("nomadctld.toml")
		got := formatDiagnostics(diagnostics)
		if cfg != nil || !strings.Contains(got, "is writable by every user of this machine") {
			t.Errorf("%s: got %v and:\n%s", line, cfg, got)
		}
	}
}
