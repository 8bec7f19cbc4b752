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

// FuzzLoad loads arbitrary bytes. Load never panics, the config is nil exactly if a diagnostic is an error, and every
// diagnostic is one printable line. The go-toml library must accept every file that loads, because this package uses
// only its parser.
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
		cfg, diagnostics := config.Load("fuzz.toml", commands)
		for _, diagnostic := range diagnostics {
			checkPrintable(t, diagnostic)
			if diagnostic.Hint == "report this as a bug in nomadctld" {
				t.Errorf("got a panic: %s", diagnostic)
			}
		}
		refused := slices.ContainsFunc(diagnostics, func(d config.Diagnostic) bool { return !d.Warning })
		if refused != (cfg == nil) {
			t.Errorf("got the config %v, want it nil exactly for errors:\n%s", cfg, formatDiagnostics(diagnostics))
		}
		if cfg == nil {
			return
		}
		var tree map[string]any
		if err := toml.Unmarshal(bytes.TrimPrefix(data, []byte("\uFEFF")), &tree); err != nil {
			t.Errorf("got a config from invalid TOML: %v", err)
		}
	})
}
