package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind_FirstExistingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	etc := filepath.Join(t.TempDir(), "nomadctld.toml")
	candidates := []string{"./nomadctld.toml", etc}
	for _, test := range []struct {
		make, explicit, want, wrong string
	}{
		{want: "", wrong: "no config file (tried ./nomadctld.toml and " + etc + "): copy the example from the README " +
			"to one of these paths, use -config FILE, or run `nomadctld demo`, which needs none"},
		{make: etc, want: etc},
		{make: "nomadctld.toml", want: "./nomadctld.toml"},
		{explicit: "my.toml", wrong: `config file "my.toml" (from -config) does not exist; create it, or correct the path`},
		{make: "my.toml", explicit: "my.toml", want: "my.toml"},
	} {
		if test.make != "" {
			if err := os.WriteFile(test.make, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := find(test.explicit, candidates)
		wrong := ""
		if err != nil {
			wrong = err.Error()
		}
		if got != test.want || wrong != test.wrong {
			t.Errorf("explicit %q: got %q and %q, want %q and %q", test.explicit, got, wrong, test.want, test.wrong)
		}
	}
}

func TestFind_DefaultPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	path, err := Find("")
	if err == nil {
		t.Skip("this machine has " + path)
	}
	for _, want := range []string{"./nomadctld.toml", "/etc/nomadctld/nomadctld.toml", "nomadctld demo"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to name %s", err, want)
		}
	}
}
