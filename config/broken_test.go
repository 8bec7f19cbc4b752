package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/config"
)

var update = flag.Bool("update", false, "write the .want files of testdata/config/broken")

// formatDiagnostics returns one line for each diagnostic.
func formatDiagnostics(diagnostics []config.Diagnostic) string {
	var b strings.Builder
	for _, d := range diagnostics {
		b.WriteString(d.String() + "\n")
	}
	return b.String()
}

// Each file in testdata/config/broken is refused with the diagnostics in its .want file.
func TestLoad_BrokenConfigs(t *testing.T) {
	paths, err := filepath.Glob(testdata(t, "broken/*.toml"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("got %d broken configs (%v), want at least 10", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".toml"), func(t *testing.T) {
			inFixture(t)
			write(t, name, read(t, path))
			cfg, diagnostics := config.Load(name, commands)
			if cfg != nil {
				t.Errorf("got a config, want none")
			}
			got, golden := formatDiagnostics(diagnostics), strings.TrimSuffix(path, ".toml")+".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(read(t, golden)); got != want {
				t.Errorf("got:\n%s\nwant (go test ./config -update writes it):\n%s", got, want)
			}
			for i, d := range diagnostics {
				checkPrintable(t, d)
				if i > 0 && d.Line < diagnostics[i-1].Line {
					t.Errorf("got line %d after line %d, want them sorted", d.Line, diagnostics[i-1].Line)
				}
			}
		})
	}
}

// The example in the README of the original lacks a quote. The diagnostic must point at it.
func TestLoad_OriginalReadmeMissingQuote(t *testing.T) {
	_, diagnostics := config.Load(testdata(t, "broken/original-readme.toml"), commands)
	if len(diagnostics) != 1 {
		t.Fatalf("got %d diagnostics, want 1:\n%s", len(diagnostics), formatDiagnostics(diagnostics))
	}
	text := strings.Split(string(read(t, testdata(t, "broken/original-readme.toml"))), "\n")[diagnostics[0].Line-1]
	if want := `prefix=["p-","q-","t-",raw"]`; text != want {
		t.Errorf("got the line %q, want %q", text, want)
	}
	if !strings.Contains(diagnostics[0].Hint, `"raw"`) {
		t.Errorf("got the hint %q, want it to contain %q", diagnostics[0].Hint, `"raw"`)
	}
}
