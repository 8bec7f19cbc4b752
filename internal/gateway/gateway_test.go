package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/config"
	"nomadctld/router"
)

// TestGroup_AcceptsEveryRight loads a group that names every right and set of the router.
func TestGroup_AcceptsEveryRight(t *testing.T) {
	granted := []string{"nosuch"}
	for right, set := range router.Rights() {
		granted = append(granted, right, string(set))
	}
	file := filepath.Join(t.TempDir(), "nomadctld.toml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("prefix.x = { prefix = [\"x-\"], commands = [\"%s\"] }",
		strings.Join(granted, `", "`))), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diagnostics := config.Load(file, Commands())
	var unknown []string
	for _, f := range diagnostics {
		if strings.Contains(f.String(), "is not a right") {
			unknown = append(unknown, f.String())
		}
	}
	if len(unknown) != 1 || !strings.Contains(unknown[0], "nosuch") {
		t.Errorf("got %q, want nosuch alone", unknown)
	}
}

func TestGroup_Rights(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		group                config.Group
		ps, stop, raw, purge bool
	}{
		{"default", config.Group{}, true, true, false, false},
		{"raw in prefix", config.Group{Raw: true}, true, true, true, false},
		{"empty list", config.Group{Commands: []string{}}, false, false, false, false},
		{"a set", config.Group{Commands: []string{"@read"}}, true, false, false, false},
		{"a set and raw in prefix", config.Group{Commands: []string{"@read"}, Raw: true}, true, false, true, false},
		{"all sets", config.Group{Commands: []string{"@read", "@enter", "@operate", "@admin"}}, true, true, true, true},
		{"purge by name", config.Group{Commands: []string{"purge"}}, false, false, false, true},
	} {
		rights := strings.Join(aclGroup(tc.group).Rights, " ") + " "
		for right, want := range map[string]bool{"ps": tc.ps, "stop": tc.stop, "raw": tc.raw, "purge": tc.purge} {
			if got := strings.Contains(" "+rights, " "+right+" "); got != want {
				t.Errorf("%s: %s: got %v, want %v", tc.name, right, got, want)
			}
		}
	}
}
