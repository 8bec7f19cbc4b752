package agent

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAllocDir_ResolveRefusesEscapes(t *testing.T) {
	d := &AllocDir{path: filepath.Join(t.TempDir(), "alloc-1")}
	if err := os.MkdirAll(filepath.Join(d.path, "web", "local"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"inside": "web", "outside": "/etc"} {
		if err := os.Symlink(to, filepath.Join(d.path, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, ok := range map[string]bool{
		"": true, "/": true, "web/local": true, "inside/local": true, "missing": true, "web/../web": true,
		"..": false, "../alloc-12": false, "outside": false, "outside/passwd": false,
	} {
		if _, err := d.resolve(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want allowed %v", name, err, ok)
		}
	}
}
