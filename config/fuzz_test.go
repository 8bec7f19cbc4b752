package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"nomadctld/config"
)

// FuzzLoad feeds Load any bytes: it never panics, the config is nil exactly when a fault is an error, and every fault
// is one printable line. What loads must be TOML by the judgement of the whole go-toml library, since the tree here is
// built from its parser alone.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"*.toml", "broken/*.toml"} {
		paths, _ := filepath.Glob(testdata(f, pattern))
		for _, path := range paths {
			f.Add(read(f, path))
		}
	}
	f.Add([]byte(validConfig))
	dir := f.TempDir()
	for name, data := range files() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Chdir(dir)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile("fuzz.toml", data, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, faults := config.Load("fuzz.toml", commands)
		for _, fault := range faults {
			checkPrintable(t, fault)
			if fault.Hint == "report this as a bug of nomadctld" {
				t.Errorf("got a panic: %s", fault)
			}
		}
		refused := slices.ContainsFunc(faults, func(f config.Diagnostic) bool { return !f.Warning })
		if refused != (cfg == nil) {
			t.Errorf("got the config %v, want it nil exactly for errors:\n%s", cfg, formatDiagnostics(faults))
		}
		if cfg == nil {
			return
		}
		var tree map[string]any
		if err := toml.Unmarshal(bytes.TrimPrefix(data, []byte("\uFEFF")), &tree); err != nil {
			t.Errorf("got a config from what is not TOML: %v", err)
		}
	})
}
