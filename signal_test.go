package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"nomadctld/internal/testenv/nomadtest"
)

func (g *testGateway) log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(g.dir.Path("log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSighup_KeepsServing sends SIGHUP to a gateway process with an open session.
func TestSighup_KeepsServing(t *testing.T) {
	t.Parallel()
	g := startGatewayProcess(t, nomadtest.Simulated(t).URL, "")
	client := g.dial(t, "wim")
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1"); err != nil {
		t.Fatal(err)
	}
	const line = `level=WARN msg="got SIGHUP: reload is not supported yet; restart to apply changes"`
	for n := range 2 {
		if err := g.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the warning is logged", func() bool { return strings.Count(g.log(t), line) == n+1 })
	}
	if stdout, stderr, err := runLine(t, client, "whoami"); err != nil || !strings.Contains(stdout, "wim") {
		t.Errorf("same connection: got %q, %q, %v", stdout, stderr, err)
	}
	g.dial(t, "ann")
	if got := g.log(t); strings.Contains(got, "stopped") {
		t.Errorf("got the log %s", got)
	}
	// SIGTERM still stops it, and closes the session.
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.process.Wait()
	if code := g.process.ProcessState.ExitCode(); code != 0 || !strings.Contains(g.log(t), "msg=stopped") {
		t.Errorf("got %d and the log %s", code, g.log(t))
	}
	session.Wait()
}

// TestSigterm_SecondExitsAtOnce sends SIGHUP between two SIGTERMs. It must not count as the second one.
func TestSigterm_SecondExitsAtOnce(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	g := startGatewayProcess(t, cluster.URL, "")
	session, err := g.dial(t, "wim").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if err := g.process.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the hangup is logged", func() bool { return strings.Contains(g.log(t), "got SIGHUP") })
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.process.Wait()
	if status := g.process.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM ||
		strings.Contains(g.log(t), "msg=stopped") {
		t.Errorf("got %v and the log %s, want it killed by the second SIGTERM", status, g.log(t))
	}
}
