package gateway_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// startControlled starts a gateway with a control socket and returns the path of the socket.
func startControlled(t *testing.T) (*gatewaytest.Gateway, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	return gatewaytest.Start(t, nomadtest.Simulated(t).URL, fmt.Sprintf("general.control = %q", path)), path
}

func TestControl_Reload(t *testing.T) {
	g, path := startControlled(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the mode of the socket %v, %v, want 0600", info.Mode(), err)
	}
	reload := gateway.ControlRequest{Command: "reload"}
	edit(t, g, annKey, "users.eve = {")
	want := []string{
		"reloaded: 1 tier (production), 2 users, 2 prefix groups", "change: users.ann removed", "change: users.eve added",
	}
	if lines, err := gateway.Control(path, reload); err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v, want %q", lines, err, want)
	}
	edit(t, g, "users.eve = {", "users.eve = { nosuch = 1,")
	lines, err := gateway.Control(path, reload)
	if err == nil || !strings.Contains(err.Error(), "unknown key users.eve.nosuch") ||
		!strings.HasSuffix(err.Error(), "\nnot reloaded; the earlier configuration stays in effect") {
		t.Errorf("with an error: got %q, %v", lines, err)
	}
	if _, err := gateway.Control(path, gateway.ControlRequest{Command: "nosuch"}); err == nil {
		t.Error("an unknown command was accepted")
	}
	g.Stop()
	if _, err := gateway.Control(path, reload); err == nil || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("after the gateway has stopped: got %v", err)
	}
}

// TestControl_Drain drains a gateway on which a command is running, waits until it has ended, and stops the gateway.
func TestControl_Drain(t *testing.T) {
	g, path := startControlled(t)
	tail := startTail(t, g, "ann", "p-team1-multi")
	drain := gateway.ControlRequest{Command: "drain", Wait: time.Millisecond}
	if lines, err := gateway.Control(path, drain); err == nil {
		t.Errorf("drained while a command is running: %q", lines)
	}
	if _, err := g.TryDial("wim", "wim"); err == nil {
		t.Error("a new connection was accepted")
	}
	if !tail.isRunning() {
		t.Error("the running command has ended")
	}
	drain.Wait = time.Minute
	drained := make(chan error, 1)
	go func() {
		_, err := gateway.Control(path, drain)
		drained <- err
	}()
	tail.session.Close()
	if err := <-drained; err != nil {
		t.Errorf("after the command has ended: %v", err)
	}
	if want := "the gateway will be stopped soon"; !strings.Contains(tail.stderr.String(), want) {
		t.Errorf("the running command got %q, want %q", tail.stderr.String(), want)
	}
	if log := g.Log(t); !strings.Contains(log, `cause="nomadctld drain"`) {
		t.Errorf("logged %s", log)
	}
}

// TestControl_PathInUse expects that the socket of a killed gateway is replaced, and anything else is not.
func TestControl_PathInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	url := nomadtest.Simulated(t).URL
	settings := fmt.Sprintf("general.control = %q", path)
	gatewaytest.Start(t, url, settings)
	listen := func() error {
		t.Helper()
		c, diagnostics := config.Load(gatewaytest.New(t, url, settings).ConfigFile(), gateway.Commands())
		if c == nil {
			t.Fatal(diagnostics)
		}
		_, err := gateway.Listen(c, slog.New(slog.DiscardHandler))
		return err
	}
	if err := listen(); err == nil || !strings.Contains(err.Error(), "general.control: another gateway uses "+path) {
		t.Errorf("a second gateway: got %v", err)
	}
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings = fmt.Sprintf("general.control = %q", path)
	if err := listen(); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file: got %v", err)
	}
	if testenv.ReadFile(t, path) != "x" {
		t.Error("the file was changed")
	}
	settings = fmt.Sprintf("general.control = %q", filepath.Join(t.TempDir(), "missing", "s"))
	if err := listen(); err == nil || !strings.Contains(err.Error(), "its directory must exist") {
		t.Errorf("a missing directory: got %v", err)
	}
}
