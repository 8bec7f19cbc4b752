package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestReload_HostKeyReplaced replaces the file by renaming another.
func TestReload_HostKeyReplaced(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, "")
	g.Dial(t, "ann")
	key, err := g.Dir.NewKey("next")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(g.Dir.Path("next"), g.Dir.Path("hostkey")); err != nil {
		t.Fatal(err)
	}
	result, err := g.Serving.Reload("test")
	if want := "file " + g.Dir.Path("hostkey") + " changed"; err != nil || !slices.Equal(result.Changes, []string{want}) {
		t.Errorf("got %+v, %v, want %q", result, err, want)
	}
	g.Keys["hostkey"] = key
	g.Dial(t, "ann")
}

// TestReload_FileChanges changes files without a signal: the configuration by renaming, then the token in place.
func TestReload_FileChanges(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, "")
	edit(t, g, annKey, "users.eve = {")
	testenv.Eventually(t, "the new user can log in", func() bool {
		client, err := g.TryDial("eve", "ann")
		if err == nil {
			client.Close()
		}
		return err == nil
	})
	if err := os.WriteFile(g.Dir.Path("token"), []byte(nomadtest.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the second reload", func() bool { return len(reloadEvents(t, g)) == 2 })
	want := []string{"file " + g.Dir.Path("token") + " changed"}
	if got := reloadEvents(t, g)[1]; !slices.Equal(got.Changes, want) || got.Cause != "a file changed" {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// TestReload_KeyRevoked adds ann's key to the list of revoked keys, which the gateway notices by itself.
func TestReload_KeyRevoked(t *testing.T) {
	revoked := filepath.Join(t.TempDir(), "revoked")
	write := func(key ssh.PublicKey) {
		t.Helper()
		if err := os.WriteFile(revoked+".new", ssh.MarshalAuthorizedKey(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(revoked+".new", revoked); err != nil {
			t.Fatal(err)
		}
	}
	other, err := sshfiles.Dir(t.TempDir()).NewKey("other")
	if err != nil {
		t.Fatal(err)
	}
	write(other.PublicKey())
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, fmt.Sprintf("auth.revoked = %q", revoked))
	anns, wims := startTail(t, g, "ann", "p-team1-multi"), startTail(t, g, "wim", "p-team2-shop")
	write(g.Keys["ann"].PublicKey())
	anns.wait(t)
	if got := anns.stderr.String(); !strings.HasPrefix(got, "nomadctld: your login is no longer accepted: ") {
		t.Errorf("got %q", got)
	}
	if !wims.isRunning() {
		t.Error("another user's command has ended")
	}
}
