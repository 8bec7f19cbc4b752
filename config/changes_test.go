package config_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"nomadctld/config"
)

func TestChanges(t *testing.T) {
	base := validConfig + `[users.ann]
key = "` + bob + `"
prefix = ["lnx"]
[limits]
sessions = 5
`
	for _, tc := range []struct {
		name     string
		old, new string // replaced in base
		want     []string
	}{
		{"nothing", "", "", nil},
		{"comment", "[limits]\n", "# more\n\n[ limits ]\n", nil},
		{"user removed", "[users.ann]\nkey = \"" + bob + "\"\nprefix = [\"lnx\"]\n", "", []string{"users.ann removed"}},
		{"user added", "[users.ann]", "[users.eve]", []string{"users.ann removed", "users.eve added"}},
		{"key changed", `"` + bob + `"`, `"` + strings.TrimSuffix(bob, " bob") + `"`, []string{"users.ann.key changed"}},
		{"list changed", "[users.wim]", "commands = [\"ps\"]\n[users.wim]", []string{"prefix.lnx.commands added"}},
		{"number changed", "sessions = 5", "sessions = 6", []string{"limits.sessions changed"}},
		{"table removed", "[limits]\nsessions = 5\n", "", []string{"limits removed"}},
		{"quoted name", "[users.ann]", "[users.\"a.n\"]", []string{`users."a.n" added`, "users.ann removed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, diagnostics := loadText(t, base)
			if before == nil {
				t.Fatal(formatDiagnostics(diagnostics))
			}
			write(t, "nomadctld.toml", []byte(strings.Replace(base, tc.old, tc.new, 1)))
			after, diagnostics := load("nomadctld.toml")
			if after == nil {
				t.Fatal(formatDiagnostics(diagnostics))
			}
			if got := after.Source.Changes(before.Source); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestChanges_File(t *testing.T) {
	text := strings.Replace(validConfig, "[prefix.lnx]", "token = \"token-p\"\n[prefix.lnx]", 1)
	before, _ := loadText(t, text)
	write(t, "token-p", []byte("11111111-2222-3333-4444-555555555555"))
	after, _ := load("nomadctld.toml")
	if got, want := after.Source.Changes(before.Source), []string{"file token-p changed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLoadFiles_Invalid expects also the files of a configuration that is refused, because one of them may be the
// reason.
func TestLoadFiles_Invalid(t *testing.T) {
	inFixture(t)
	text := strings.Replace(validConfig, "[prefix.lnx]", "token = \"missing\"\n[prefix.lnx]", 1)
	write(t, "nomadctld.toml", []byte(text))
	cfg, diagnostics, files := config.LoadFiles("nomadctld.toml", commands)
	if cfg != nil || len(diagnostics) == 0 {
		t.Errorf("got %v, %v, want an error", cfg, diagnostics)
	}
	if want := []string{"hostkey", "missing", "nomadctld.toml"}; !slices.Equal(files, want) {
		t.Errorf("got %q, want %q", files, want)
	}
	os.Remove("nomadctld.toml")
	if _, _, files := config.LoadFiles("nomadctld.toml", commands); !slices.Equal(files, []string{"nomadctld.toml"}) {
		t.Errorf("got %q, want the config file", files)
	}
}
