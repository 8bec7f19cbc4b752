package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

// TestCertificatesDoc runs the ssh-keygen commands of docs/certificates.md, and logs in with the certificate at a
// gateway with the documented configuration. Afterwards the certificate is revoked.
func TestCertificatesDoc(t *testing.T) {
	t.Parallel()
	doc := testenv.ReadFile(t, "../../docs/certificates.md")
	blocks := regexp.MustCompile("(?s)<!-- not run: certificates_doc_test.go [^\n]*-->\n```sh\n(.*?)```").
		FindAllStringSubmatch(doc, -1)
	settings := regexp.MustCompile("(?s)```text\n(\\[auth\\]\n.*?)```").FindStringSubmatch(doc)
	if len(blocks) != 3 || settings == nil {
		t.Fatalf("got %d blocks and the settings %q, want 3: create, sign and revoke", len(blocks), settings)
	}
	home := t.TempDir()
	etc := filepath.Join(home, "etc") + "/"
	for _, dir := range []string{etc, filepath.Join(home, ".ssh")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-euc", strings.ReplaceAll(script, "/etc/nomadctld/", etc))
		cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, script, out)
		}
		return string(out)
	}
	key := filepath.Join(home, ".ssh", "id_ed25519")
	run("ssh-keygen -q -t ed25519 -N '' -f " + key)
	run(blocks[0][1])
	run(blocks[1][1])
	login := func() (string, error) {
		t.Helper()
		g := gatewaytest.New(t, "http://127.0.0.1:1", strings.ReplaceAll(settings[1], "/etc/nomadctld/", etc))
		text := testenv.ReadFile(t, g.ConfigFile()) // ann has a key in it
		g.WriteConfig(t, regexp.MustCompile(`(?m)^users\.ann = .*$`).ReplaceAllString(text, ""))
		g.Serve(t)
		cmd := exec.Command("ssh", "-F", g.Dir.Path("ssh_config"), "-o", "IdentityFile="+key, "-l", "ann", "x", "whoami")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := login()
	if err != nil || !strings.HasPrefix(out, "ann (ann)\n") || !strings.Contains(out, "\ngroup team1\n") ||
		!strings.Contains(out, "\ncertificate ann@example.com, serial 1, expires ") {
		t.Errorf("whoami: %v\n%s", err, out)
	}
	run(blocks[2][1])
	if out, err := login(); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("after the revocation: %v\n%s", err, out)
	}
	if out := run("ssh-keygen -Q -l -f /etc/nomadctld/revoked.krl || true"); !strings.Contains(out, "serial: 100-199") {
		t.Errorf("the list does not contain the ranges:\n%s", out)
	}
}
