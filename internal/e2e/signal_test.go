package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestSighup_KeepsServing sends SIGHUP to a gateway process with an open session.
func TestSighup_KeepsServing(t *testing.T) {
	t.Parallel()
	g := gatewaytest.StartProcess(t, nomadtest.Simulated(t).URL, "")
	client := g.Dial(t, "wim")
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1"); err != nil {
		t.Fatal(err)
	}
	const line = `level=WARN msg="got SIGHUP: reload is not supported yet; restart to apply changes"`
	for n := range 2 {
		if err := g.Process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, "the warning is logged", func() bool { return strings.Count(g.Log(t), line) == n+1 })
	}
	if stdout, stderr, err := gatewaytest.RunLine(t, client, "whoami"); err != nil || !strings.Contains(stdout, "wim") {
		t.Errorf("same connection: got %q, %q, %v", stdout, stderr, err)
	}
	g.Dial(t, "ann")
	if got := g.Log(t); strings.Contains(got, "stopped") {
		t.Errorf("got the log %s", got)
	}
	// SIGTERM still stops it, and closes the session.
	if err := g.Process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.Process.Wait()
	if code := g.Process.ProcessState.ExitCode(); code != 0 || !strings.Contains(g.Log(t), "msg=stopped") {
		t.Errorf("got %d and the log %s", code, g.Log(t))
	}
	session.Wait()
}

// TestSigterm_SecondExitsAtOnce sends SIGHUP between two SIGTERMs. It must not count as the second one.
func TestSigterm_SecondExitsAtOnce(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.StartProcess(t, cluster.URL, "")
	session, err := g.Dial(t, "wim").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("ps --watch 1"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if err := g.Process.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, "the hangup is logged", func() bool { return strings.Contains(g.Log(t), "got SIGHUP") })
	exited := make(chan struct{})
	go func() { g.Process.Wait(); close(exited) }()
	for killed := false; !killed; { // the gateway handles the first signal in two steps: an early second one is lost
		g.Process.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
			killed = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	if status := g.Process.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM ||
		strings.Contains(g.Log(t), "msg=stopped") {
		t.Errorf("got %v and the log %s, want it killed by the second SIGTERM", status, g.Log(t))
	}
}
