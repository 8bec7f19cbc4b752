// Package gatewaytest runs gateways for tests, in the process of the test or as a process of their own, and connects
// SSH clients to them. It owns their keys and files.
package gatewaytest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/gateway"
	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/nomadtest"
)

// Gateway is a gateway for one test. wim owns every job, ann those of team 1.
type Gateway struct {
	Address string
	Metrics string // address of metrics and health; empty unless the settings have metrics.bind
	Dir     sshfiles.Dir
	Keys    map[string]ssh.Signer // by user, and hostkey
	Process *exec.Cmd             // nil if the gateway runs in the process of the test
	Serving *gateway.Gateway      // nil if the gateway is a process
	Stop    func()                // stops the gateway as a signal would, and waits for it
}

// Start starts a gateway to the cluster at url. settings are additional lines of its configuration. $KEY in them is
// wim's public key, which other users can share.
func Start(t testing.TB, url, settings string) *Gateway {
	t.Helper()
	g := New(t, url, settings)
	g.Serve(t)
	return g
}

// Serve starts the gateway in the process of the test, with its configuration file.
func (g *Gateway) Serve(t testing.TB) {
	t.Helper()
	c, diagnostics := config.Load(g.ConfigFile(), gateway.Commands())
	if c == nil {
		t.Fatal(diagnostics)
	}
	log, err := os.Create(g.Dir.Path("log"))
	if err != nil {
		t.Fatal(err)
	}
	listening, err := gateway.Listen(c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	g.Serving = listening
	g.SetAddress(t, listening.Addr().String())
	if address := listening.MetricsAddr(); address != nil {
		g.Metrics = address.String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { listening.Serve(ctx); close(served) }()
	g.Stop = func() { cancel(); <-served }
	t.Cleanup(func() { g.Stop(); log.Close() })
	g.stopOnHang(t)
}

// StartProcess is Start, but the gateway is a process of the program nomadctld on PATH.
func StartProcess(t testing.TB, url, settings string) *Gateway {
	t.Helper()
	g := New(t, url, settings)
	cmd := exec.Command("nomadctld", "-config", g.ConfigFile())
	g.StartCommand(t, cmd)
	g.Stop = func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }
	t.Cleanup(g.Stop)
	g.WaitServing(t)
	return g
}

// StartCommand starts a command that serves the gateway. Its output is the log.
func (g *Gateway) StartCommand(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	log, err := os.Create(g.Dir.Path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.Process = cmd
}

// WaitServing waits until the process has logged its address.
func (g *Gateway) WaitServing(t testing.TB) {
	t.Helper()
	testenv.Eventually(t, "the gateway serves", func() bool {
		address := ServingAddress([]byte(g.Log(t)))
		if address != "" {
			g.SetAddress(t, address)
		}
		return address != ""
	})
}

var servingPattern = regexp.MustCompile(`msg=serving address=(\S+)`)

// ServingAddress returns the address in the log of a gateway process, or "" if it does not serve yet.
func ServingAddress(log []byte) string {
	if m := servingPattern.FindSubmatch(log); m != nil {
		return string(m[1])
	}
	return ""
}

// New writes the files of a gateway, which is not started.
func New(t testing.TB, url, settings string) *Gateway {
	t.Helper()
	g := NewFiles(t)
	if err := os.WriteFile(g.Dir.Path("token"), []byte(nomadtest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
general.hostkey = %q
general.bind = "127.0.0.1:0"
audit = { file = %q }
nomad.production = { url = %q, prefix = ["p-"], token = %q }
prefix.all.prefix = ["p-"]
prefix.team1.prefix = ["p-team1-"]
users.wim = { prefix = ["all"], key = %q }
users.ann = { prefix = ["team1"], key = %q }
`, g.Dir.Path("hostkey"), g.Dir.Path("audit"), url, g.Dir.Path("token"),
		sshfiles.AuthorizedKeyLine(g.Keys["wim"]), sshfiles.AuthorizedKeyLine(g.Keys["ann"]))
	g.WriteConfig(t, text+strings.ReplaceAll(settings, "$KEY", sshfiles.AuthorizedKeyLine(g.Keys["wim"])))
	return g
}

// NewFiles writes the keys of a gateway, but no configuration.
func NewFiles(t testing.TB) *Gateway {
	t.Helper()
	g := &Gateway{Dir: sshfiles.Dir(t.TempDir()), Keys: map[string]ssh.Signer{}}
	for _, name := range []string{"hostkey", "wim", "ann"} {
		key, err := g.Dir.NewKey(name)
		if err != nil {
			t.Fatal(err)
		}
		g.Keys[name] = key
	}
	return g
}

// ConfigFile returns the path of the configuration.
func (g *Gateway) ConfigFile() string { return g.Dir.Path("nomadctld.toml") }

// WriteConfig writes the configuration.
func (g *Gateway) WriteConfig(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(g.ConfigFile(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SetAddress writes the SSH client configuration for the address of the gateway.
func (g *Gateway) SetAddress(t testing.TB, address string) {
	t.Helper()
	g.Address = address
	if err := g.Dir.WriteConfig(address, g.Keys["hostkey"], "wim", "ann"); err != nil {
		t.Fatal(err)
	}
}

// stopOnHang stops the gateway if a test hangs. That closes its sessions, so that this test fails, and not the whole
// run.
func (g *Gateway) stopOnHang(t testing.TB) {
	if _, isTest := t.(*testing.T); !isTest || strings.Contains(t.Name(), "Soak") {
		return // no time limit
	}
	const hangTimeout = 10 * time.Minute
	watchdog := time.AfterFunc(hangTimeout, func() {
		stacks := make([]byte, 1<<20)
		t.Errorf("the test is still running after %s, so its gateway was stopped\n%s", hangTimeout,
			stacks[:runtime.Stack(stacks, true)])
		g.Stop()
	})
	t.Cleanup(func() { watchdog.Stop() })
}
