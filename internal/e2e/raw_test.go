package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

// TestRaw_RunsAsConfiguredUser uses a fake nomad that prints its user.
func TestRaw_RunsAsConfiguredUser(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root to change the user")
	}
	binary := filepath.Join(t.TempDir(), "nomad")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\nexec id -un\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(binary); strings.HasPrefix(dir, filepath.Clean(os.TempDir())+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // so that the user nobody can run it
			t.Fatal(err)
		}
	}
	for setting, want := range map[string]string{
		"": "nobody", "raw.user = \"daemon\"\n": "daemon",
		"raw.user = \"\"\n": "root",
	} {
		g := gatewaytest.Start(t, "http://127.0.0.1:1", fmt.Sprintf("general.nomadbinary = %q\n", binary)+setting+
			"prefix.admin = { prefix = [\"p-\", \"raw\"] }\nusers.ada = { prefix = [\"admin\"], key = \"$KEY\" }\n")
		if code, stdout, stderr := g.Run("ada", "raw production status"); code != 0 || stdout != want+"\n" {
			t.Errorf("%q: got %d, %q, %q, want %s", setting, code, stdout, stderr, want)
		}
	}
}
