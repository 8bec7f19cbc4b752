package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"
	"golang.org/x/crypto/ssh"

	"nomadctld/config"
	"nomadctld/internal/audit"
	"nomadctld/internal/gateway"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/sshfiles"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/nomadtest"
)

// testGateway is a gateway for one test. wim owns every job, ann those of team 1.
type testGateway struct {
	Address string
	dir     sshfiles.Dir
	keys    map[string]ssh.Signer
	stop    func()    // stops the gateway as a signal would, and waits for it
	process *exec.Cmd // of startGatewayProcess
}

// startTestGateway starts a gateway to the cluster at url. settings are additional lines of its configuration. $KEY in
// them is wim's public key, which other users can share.
func startTestGateway(t testing.TB, url, settings string) *testGateway {
	t.Helper()
	g := newTestGateway(t, url, settings)
	c, diagnostics := config.Load(g.configFile(), gateway.Commands())
	if c == nil {
		t.Fatal(diagnostics)
	}
	listening, err := gateway.Listen(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	g.setAddress(t, listening.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { listening.Serve(ctx); close(served) }()
	g.stop = func() { cancel(); <-served }
	t.Cleanup(g.stop)
	g.stopOnHang(t)
	return g
}

// startGatewayProcess is startTestGateway, but the gateway is a separate process.
func startGatewayProcess(b testing.TB, url, settings string) *testGateway {
	b.Helper()
	g := newTestGateway(b, url, settings)
	log, err := os.Create(g.dir.Path("log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("nomadctld", "-config", g.configFile())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	g.process = cmd
	g.stop = func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }
	b.Cleanup(g.stop)
	eventually(b, "the gateway serves", func() bool {
		text, err := os.ReadFile(log.Name())
		m := servingPattern.FindSubmatch(text)
		if err == nil && m != nil {
			g.setAddress(b, string(m[1]))
		}
		return g.Address != ""
	})
	return g
}

// newTestGateway writes the files of a gateway, which is not started.
func newTestGateway(t testing.TB, url, settings string) *testGateway {
	t.Helper()
	g := &testGateway{dir: sshfiles.Dir(t.TempDir()), keys: map[string]ssh.Signer{}}
	for _, name := range []string{"hostkey", "wim", "ann"} {
		key, err := g.dir.NewKey(name)
		if err != nil {
			t.Fatal(err)
		}
		g.keys[name] = key
	}
	if err := os.WriteFile(g.dir.Path("token"), []byte(nomadtest.Token), 0o600); err != nil {
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
`, g.dir.Path("hostkey"), g.dir.Path("audit"), url, g.dir.Path("token"),
		sshfiles.AuthorizedKeyLine(g.keys["wim"]), sshfiles.AuthorizedKeyLine(g.keys["ann"]))
	if err := os.WriteFile(g.configFile(), []byte(text+strings.ReplaceAll(settings, "$KEY",
		sshfiles.AuthorizedKeyLine(g.keys["wim"]))), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *testGateway) configFile() string { return g.dir.Path("nomadctld.toml") }

// setAddress writes the SSH client configuration for the address of the gateway.
func (g *testGateway) setAddress(t testing.TB, address string) {
	t.Helper()
	g.Address = address
	if err := g.dir.WriteConfig(address, g.keys["hostkey"], "wim", "ann"); err != nil {
		t.Fatal(err)
	}
}

// stopOnHang stops the gateway if a test hangs. That closes its sessions, so that this test fails, and not the whole
// run.
func (g *testGateway) stopOnHang(t testing.TB) {
	if _, isTest := t.(*testing.T); !isTest || os.Getenv("NOMADCTLD_TEST_EXECS") != "" {
		return // no time limit
	}
	const hangTimeout = 20 * time.Minute
	watchdog := time.AfterFunc(hangTimeout, func() {
		stacks := make([]byte, 1<<20)
		t.Errorf("the test is still running after %s, so its gateway was stopped\n%s", hangTimeout,
			stacks[:runtime.Stack(stacks, true)])
		g.stop()
	})
	t.Cleanup(func() { watchdog.Stop() })
}

// ssh returns a command of the OpenSSH client.
func (g *testGateway) ssh(user string, words ...string) *exec.Cmd {
	return exec.Command("ssh", append([]string{"-F", g.dir.Path("ssh_config"), user}, words...)...)
}

// dial logs in with the Go client.
func (g *testGateway) dial(t testing.TB, user string) *ssh.Client {
	t.Helper()
	client, err := ssh.Dial("tcp", g.Address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(g.keys[user])},
		HostKeyCallback: ssh.FixedHostKey(g.keys["hostkey"].PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// events returns the end events in the audit log.
func (g *testGateway) events(t testing.TB) (events []audit.Event) {
	t.Helper()
	text, err := os.ReadFile(g.dir.Path("audit"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Kind == audit.End {
			events = append(events, e)
		}
	}
	return events
}

// execPath is a gateway with a task, p-team1-box, into which programs are executed either through Docker or through
// Nomad.
type execPath struct {
	*testGateway
	Name          string
	Cluster       *nomadsim.Cluster
	url, settings string // for another gateway to the same cluster
}

// forEachPath calls test for a task in a real Docker container, if there is a daemon, and for a task that is a process
// of the simulated Nomad.
func forEachPath(t *testing.T, test func(t *testing.T, p execPath)) {
	t.Run("docker", func(t *testing.T) {
		host := dockertest.Daemon(t)
		cluster := nomadtest.Simulated(t)
		allocation := newAllocation()
		cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
		dockertest.RunTask(t, cluster.Sim, allocation, "box", docker.Config{Cmd: []string{"sleep", "3600"}})
		settings := fmt.Sprintf("docker.host = %q\n", host)
		test(t, execPath{startTestGateway(t, cluster.URL, settings), "docker", cluster.Sim, cluster.URL, settings})
	})
	t.Run("nomad", func(t *testing.T) {
		cluster := nomadtest.Simulated(t)
		cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}},
			newAllocation()))
		test(t, execPath{startTestGateway(t, cluster.URL, ""), "nomad", cluster.Sim, cluster.URL, ""})
	})
}

func boxJob(task nomadsim.Task, allocation string) nomadsim.Job {
	return nomadsim.Job{ID: "p-team1-box", Groups: []nomadsim.Group{{
		Name: "g", Tasks: []nomadsim.Task{task}, Allocations: []nomadsim.Allocation{{ID: allocation, Node: "node-1"}},
	}}}
}

func newAllocation() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// TestRaw_RunsAsConfiguredUser uses a fake nomad that prints its user.
func TestRaw_RunsAsConfiguredUser(t *testing.T) {
	needSSH(t)
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
		g := startTestGateway(t, "http://127.0.0.1:1", fmt.Sprintf("general.nomadbinary = %q\n", binary)+setting+
			"prefix.admin = { prefix = [\"p-\", \"raw\"] }\nusers.ada = { prefix = [\"admin\"], key = \"$KEY\" }\n")
		if code, stdout, stderr := g.run("ada", "raw production status"); code != 0 || stdout != want+"\n" {
			t.Errorf("%q: got %d, %q, %q, want %s", setting, code, stdout, stderr, want)
		}
	}
}
